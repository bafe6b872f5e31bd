import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "@protoloom/mesh";

/** A clock that stands still until a test turns it. */
export interface FakeClock extends Clock {
  /**
   * Turns the clock by `ms`. What falls due on the way happens in its order, each at its own time, and what it leads to comes
   * before the next: a loop that sleeps again sees every one of its turns.
   */
  advance(ms: number): Promise<void>;
}

interface Alarm {
  readonly atMs: number;
  readonly ring: () => void;
}

/** Creates a clock at `nowMs` (ms since 1970; default: 2026-01-01) whose monotonic time is 0. */
export function createFakeClock({ nowMs = Date.UTC(2026, 0, 1) }: { readonly nowMs?: number } = {}): FakeClock {
  let elapsedMs = 0;
  const alarms = new Set<Alarm>();

  function after(ms: number, callback: () => void): () => void {
    const alarm: Alarm = { atMs: elapsedMs + Math.max(0, ms), ring: callback };
    alarms.add(alarm);
    return () => alarms.delete(alarm);
  }

  /** The first alarm up to a time; of several at one time the one that was set first. */
  function nextUntil(endMs: number): Alarm | undefined {
    let next: Alarm | undefined;
    for (const alarm of alarms) if (alarm.atMs <= endMs && (next === undefined || alarm.atMs < next.atMs)) next = alarm;
    return next;
  }

  return {
    now: () => nowMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    after,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const cancel = after(ms, resolve);
      const abort = (): void => {
        cancel();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", abort, { once: true });
      try {
        await promise;
      } finally {
        signal?.removeEventListener("abort", abort);
      }
    },
    async advance(ms) {
      const endMs = elapsedMs + ms;
      await turn();
      for (let alarm = nextUntil(endMs); alarm !== undefined; alarm = nextUntil(endMs)) {
        elapsedMs = alarm.atMs;
        alarms.delete(alarm);
        alarm.ring();
        await turn();
      }
      elapsedMs = endMs;
    },
  };
}
