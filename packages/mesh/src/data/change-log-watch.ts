import type { Clock } from "../base/clock.ts";
import { withDeadline } from "../base/deadline.ts";
import { logStart } from "./change.ts";
import type { Change, LogPosition } from "./change.ts";
import type { ChangeLog } from "./change-log.ts";
import type { ReadRows } from "./change-log-snapshot.ts";

/** One message of a watch, before the service puts it into its own. */
export type WatchStep =
  /** A resource of the snapshot, as its rows were read. */
  | { readonly kind: "existing"; readonly row: Uint8Array }
  | { readonly kind: "snapshotEnd"; readonly resumeToken: string }
  | { readonly kind: "change"; readonly change: Change; readonly resumeToken: string }
  /** Nothing has changed for 15 s. The database has been asked. */
  | { readonly kind: "heartbeat"; readonly resumeToken: string };

/** What is watched, and from where. */
export interface WatchOptions<Tables> {
  /** Token of the last message that was taken in; empty: from a snapshot. */
  readonly resumeToken: string;
  /** Changes of other types are passed over. */
  readonly aggregateType: string;
  readonly snapshot: ReadRows<Tables>;
  /** Ends the watch: it rejects with the reason. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Silence after which a heartbeat is sent, in ms. Default: 15,000. */
  readonly heartbeatMs?: number;
}

/**
 * A watch of the resources of one type, for a method that streams: a snapshot, or nothing for a reader who resumes; then
 * every change, each once, in the order of its making. It reads at the pace of who takes its steps. Rejects as `follow`,
 * `snapshot` and `fromResumeToken` of the log do.
 */
export async function* watchChanges<Tables>(log: ChangeLog<Tables>, options: WatchOptions<Tables>): AsyncGenerator<WatchStep> {
  let position: LogPosition = logStart;
  if (options.resumeToken === "") {
    await using snapshot = await log.snapshot(options.snapshot, options.signal);
    for await (const row of snapshot.rows()) yield { kind: "existing", row };
    position = snapshot.position;
    yield { kind: "snapshotEnd", resumeToken: log.toResumeToken(position) };
  } else position = await log.fromResumeToken(options.resumeToken);
  yield* followFrom(log, position, options);
}

async function* followFrom<Tables>(
  log: ChangeLog<Tables>,
  start: LogPosition,
  { aggregateType, signal, clock, heartbeatMs = 15_000 }: WatchOptions<Tables>,
): AsyncGenerator<WatchStep> {
  // The log waits for this signal: a generator that is left while it waits could not be closed otherwise.
  using scope = withDeadline(Number.POSITIVE_INFINITY, signal, clock);
  const batches = log.follow(start, scope.signal)[Symbol.asyncIterator]();
  let position = start;
  let silentSinceMs = clock.monotonicMs();
  let next: ReturnType<typeof batches.next> | undefined;
  try {
    for (;;) {
      next ??= batches.next();
      const result = await within(next, silentSinceMs + heartbeatMs - clock.monotonicMs(), clock);
      if (result === undefined) {
        yield { kind: "heartbeat", resumeToken: log.toResumeToken(position) };
        silentSinceMs = clock.monotonicMs();
        continue;
      }
      next = undefined;
      if (result.done === true) return;
      for (const change of result.value) {
        position = change;
        if (change.aggregateType !== aggregateType) continue;
        yield { kind: "change", change, resumeToken: log.toResumeToken(change) };
        silentSinceMs = clock.monotonicMs();
      }
    }
  } finally {
    scope.abort(new Error("the watch has ended"));
    next?.catch(() => {
      // It was still waiting, and the abort has ended that.
    });
    await batches.return?.();
  }
}

/** What a promise gives within a time, or undefined. The promise itself goes on. */
async function within<T>(promise: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const stop = clock.after(Math.max(0, ms), () => resolve(undefined));
  try {
    return await Promise.race([promise, over]);
  } finally {
    stop();
  }
}

/** A message of a watch, as the contracts have it and ts-proto writes it. */
export interface WatchMessage<Resource> {
  readonly change:
    | { readonly $case: "existing" | "created" | "updated" | "deleted"; readonly value: Resource }
    | { readonly $case: "snapshotEnd" | "heartbeat"; readonly value: Record<never, never> }
    | undefined;
  readonly resumeToken: string;
}

/**
 * The message of a step. A change of a type that this version does not know is a message without a kind, which a reader can
 * pass over; its token counts.
 */
export function toWatchMessage<Resource>(step: WatchStep, decode: (bytes: Uint8Array) => Resource): WatchMessage<Resource> {
  switch (step.kind) {
    case "existing":
      return { change: { $case: "existing", value: decode(step.row) }, resumeToken: "" };
    case "snapshotEnd":
    case "heartbeat":
      return { change: { $case: step.kind, value: {} }, resumeToken: step.resumeToken };
    case "change": {
      const { resumeToken, change } = step;
      switch (change.type) {
        case "created":
        case "updated":
        case "deleted":
          return { change: { $case: change.type, value: decode(change.payload) }, resumeToken };
        default:
          return { change: undefined, resumeToken };
      }
    }
  }
}
