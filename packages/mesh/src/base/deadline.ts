import type { Clock } from "./clock.ts";
import { Code } from "./code.ts";
import { MeshError } from "./mesh-error.ts";

/** The moment at which a call ends, in ms of `Clock.monotonicMs`. Infinity: never. */
export type Deadline = number;

/** A signal that aborts with its parent or at a deadline. Dispose it when the work is over: it then holds nothing. */
export interface DeadlineScope extends Disposable {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
}

/** The error of a call whose deadline has passed. */
export function deadlinePassed(afterMs: number): MeshError {
  return new MeshError(Code.DEADLINE_EXCEEDED, `no answer within ${Math.max(0, Math.round(afterMs))} ms`, { reason: "DEADLINE_PASSED" });
}

/** The error of a call whose caller has gone. */
export function callerGone(cause?: unknown): MeshError {
  return new MeshError(Code.CANCELLED, "the caller cancelled the call", { reason: "CALLER_GONE", cause });
}

/**
 * Links a signal to a parent and a deadline. The reason of the abort decides the code of the call: the parent's reason, or
 * DEADLINE_EXCEEDED. `AbortSignal.any` with a long-lived parent is not used: it keeps every child (measured: 488 MiB over
 * 400,000 calls).
 */
export function withDeadline(deadline: Deadline, parent: AbortSignal | undefined, clock: Clock): DeadlineScope {
  const controller = new AbortController();
  const abort = (reason: unknown): void => controller.abort(reason);
  const startedMs = clock.monotonicMs();
  const leftMs = deadline - startedMs;
  const onParent = (): void => abort(parent?.reason);
  let stop: (() => void) | undefined;
  if (parent?.aborted === true) onParent();
  else if (leftMs <= 0) abort(deadlinePassed(0));
  else {
    parent?.addEventListener("abort", onParent, { once: true });
    // Timers of more than 2^31 ms fire at once; a deadline that far away is none.
    if (leftMs < 2 ** 31) stop = clock.after(leftMs, () => abort(deadlinePassed(leftMs)));
  }
  return {
    signal: controller.signal,
    abort,
    [Symbol.dispose]() {
      stop?.();
      parent?.removeEventListener("abort", onParent);
    },
  };
}
