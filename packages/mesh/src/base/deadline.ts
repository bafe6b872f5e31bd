import type { Clock } from "./clock.ts";
import { Code } from "./code.ts";
import { MeshError } from "./mesh-error.ts";

/** The moment at which a call ends, in ms of `Clock.monotonicMs`. Infinity: never. */
export type Deadline = number;

/** An abort that comes with a parent's, or at a deadline. Dispose it when the work is over: it then holds nothing. */
export interface DeadlineScope extends Disposable {
  /** Made when it is first asked for: a signal and a listener on it cost more than most handlers. */
  readonly signal: AbortSignal;
  readonly aborted: boolean;
  /** Why it was aborted; undefined before that. */
  readonly reason: unknown;
  /** Aborts; the first reason counts. */
  abort(reason: unknown): void;
  /** Calls back once it is aborted, with the reason; at once if it is already. One listener, which costs no signal. */
  onAbort(listener: (reason: unknown) => void): void;
}

/** The error of a call whose deadline has passed. */
export function deadlinePassed(afterMs: number): MeshError {
  return new MeshError(Code.DEADLINE_EXCEEDED, `no answer within ${Math.max(0, Math.round(afterMs))} ms`, {
    reason: "DEADLINE_PASSED",
  });
}

/** The error of a call whose caller has gone. */
export function callerGone(cause?: unknown): MeshError {
  return new MeshError(Code.CANCELLED, "the caller cancelled the call", { reason: "CALLER_GONE", cause });
}

/**
 * Links an abort to a parent and a deadline. The reason of the abort decides the code of the call: the parent's reason, or
 * DEADLINE_EXCEEDED. `AbortSignal.any` with a long-lived parent is not used: it keeps every child (measured: 488 MiB over
 * 400,000 calls).
 */
export function withDeadline(deadline: Deadline, parent: AbortSignal | undefined, clock: Clock): DeadlineScope {
  return new LinkedScope(deadline, parent, clock);
}

/** States: running, aborted (`#reason` is there), and disposed, in which only `abort` still aborts. */
class LinkedScope implements DeadlineScope {
  readonly #parent: AbortSignal | undefined;
  #controller: AbortController | undefined;
  #aborted = false;
  #reason: unknown;
  #listener: ((reason: unknown) => void) | undefined;
  #stopTimer: (() => void) | undefined;

  constructor(deadline: Deadline, parent: AbortSignal | undefined, clock: Clock) {
    this.#parent = parent;
    const leftMs = deadline - clock.monotonicMs();
    if (parent?.aborted === true) this.abort(parent.reason);
    else if (leftMs <= 0) this.abort(deadlinePassed(0));
    else {
      parent?.addEventListener("abort", this);
      // Timers of more than 2^31 ms fire at once; a deadline that far away is none.
      if (leftMs < 2 ** 31) this.#stopTimer = clock.after(leftMs, () => this.abort(deadlinePassed(leftMs)));
    }
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#listener?.(reason);
  }

  onAbort(listener: (reason: unknown) => void): void {
    this.#listener = listener;
    if (this.#aborted) listener(this.#reason);
  }

  /** Called by the parent: the scope listens by itself, so that it needs no closure. */
  handleEvent(): void {
    this.abort(this.#parent?.reason);
  }

  [Symbol.dispose](): void {
    this.#stopTimer?.();
    this.#parent?.removeEventListener("abort", this);
    this.#listener = undefined;
  }
}
