import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { advanceHead } from "./change-log-sequencer.ts";
import type { Database } from "./database.ts";

/** How often what is done, in ms. */
const pace = {
  /** Safety net behind the wake-ups, while somebody follows and other processes write. */
  pollMs: 250,
  /** Least time between two looks on PostgreSQL: changes that commit within it get their positions together. */
  leastMs: 5,
} as const;

/** Knows how far the log goes, and tells those who wait for more. Disposing it ends their waits with an error. */
export interface LogHeadWatch extends AsyncDisposable {
  /** Looks soon: something has been committed here. */
  ring(): void;
  /**
   * Resolves with the highest position once it is beyond `pos`. Rejects with the signal's reason, and when the database
   * cannot be read: who follows must not take silence for knowledge.
   */
  beyond(pos: number, signal: AbortSignal): Promise<number>;
  /** Counts a follower until it is disposed. The log is watched while there is one. */
  enter(): Disposable;
  readonly followers: number;
}

interface Waiter {
  readonly pos: number;
  resolve(head: number): void;
  reject(error: unknown): void;
}

/** Watches the head of a log: one loop a process, however many follow. */
export function createLogHeadWatch<Tables>(
  database: Database<Tables>,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): LogHeadWatch {
  const bell = createBell(clock);
  const waiters = new Set<Waiter>();
  const { peers } = database;
  let listening: AsyncDisposable | undefined;
  let head = 0;
  let followers = 0;
  const closed = new AbortController();

  const look = async (): Promise<boolean> => {
    const { pos, sequenced, again } = await advanceHead(database);
    head = Math.max(head, pos);
    for (const waiter of waiters) if (waiter.pos < head) waiter.resolve(head);
    if (sequenced > 0) peers?.wake();
    return again;
  };
  const run = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      await bell.wait(followers > 0 && peers !== undefined ? pace.pollMs : Number.POSITIVE_INFINITY);
      if (closed.signal.aborted) return;
      try {
        if (await look()) bell.ring();
      } catch (error) {
        if (waiters.size === 0) logger.warn({ err: error }, "the change log cannot be read");
        for (const waiter of waiters) waiter.reject(error);
      }
      if (peers === undefined) continue;
      await clock.sleep(pace.leastMs, closed.signal).catch(() => {
        // Only the end of the log cuts it short.
      });
    }
  };
  const running = run();
  return {
    ring: () => bell.ring(),
    get followers() {
      return followers;
    },
    enter() {
      followers += 1;
      listening ??= peers?.listen(() => bell.ring());
      bell.ring();
      return { [Symbol.dispose]: () => void (followers -= 1) };
    },
    async beyond(pos, signal) {
      signal.throwIfAborted();
      if (closed.signal.aborted) throw logClosed();
      if (head > pos) return head;
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const waiter: Waiter = { pos, resolve, reject };
      const onAbort = (): void => reject(signal.reason);
      waiters.add(waiter);
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        return await promise;
      } finally {
        waiters.delete(waiter);
        signal.removeEventListener("abort", onAbort);
      }
    },
    async [Symbol.asyncDispose]() {
      closed.abort();
      bell.ring();
      for (const waiter of waiters) waiter.reject(logClosed());
      await Promise.all([running, listening?.[Symbol.asyncDispose]()]);
    },
  };
}

function logClosed(): Error {
  return new Error("the change log has been closed");
}

/** A wait that can be cut short. A ring while nobody waits counts for the next wait. */
function createBell(clock: Clock): { ring(): void; wait(ms: number): Promise<void> } {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    async wait(ms) {
      if (!rung) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const stop = ms === Number.POSITIVE_INFINITY ? undefined : clock.after(ms, resolve);
        await promise;
        stop?.();
        wake = undefined;
      }
      rung = false;
    },
  };
}
