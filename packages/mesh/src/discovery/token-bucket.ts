import type { Clock } from "../base/clock.ts";

/** Lets `burst` requests pass at once, and then one in `everyMs`. */
export interface TokenBucket {
  /** Resolves when a request may be made. Rejects with the signal's reason. One waiter at a time. */
  take(signal: AbortSignal): Promise<void>;
  /** True: a request may be made at once, and counts. */
  tryTake(): boolean;
}

/** Builds a full bucket. In any window of `n` ms at most `burst + n / everyMs` requests pass. */
export function createTokenBucket(limits: { readonly burst: number; readonly everyMs: number }, clock: Clock): TokenBucket {
  let tokens = limits.burst;
  let countedAtMs = clock.monotonicMs();
  const tryTake = (): boolean => {
    const nowMs = clock.monotonicMs();
    tokens = Math.min(limits.burst, tokens + (nowMs - countedAtMs) / limits.everyMs);
    countedAtMs = nowMs;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
  return {
    tryTake,
    async take(signal) {
      signal.throwIfAborted();
      // A timer may fire a fraction of a millisecond early: then the rest is waited for in one more round.
      while (!tryTake()) await clock.sleep(Math.max(1, Math.ceil((1 - tokens) * limits.everyMs)), signal);
    },
  };
}
