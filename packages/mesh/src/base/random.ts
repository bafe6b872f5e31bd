/** Chance as an argument: gives a number from 0 up to but not including 1. */
export type Random = () => number;

/** The chance of this machine. */
export const systemRandom: Random = Math.random;

/** A repeatable sequence from a seed (mulberry32), for tests and simulations. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Waits between attempts: full jitter below a cap that doubles each time (AWS, "Exponential Backoff And Jitter"). */
export function fullJitterMs(
  attempt: number,
  limits: { readonly baseMs: number; readonly maxMs: number },
  random: Random,
): number {
  return random() * Math.min(limits.maxMs, limits.baseMs * 2 ** Math.min(attempt, 30));
}
