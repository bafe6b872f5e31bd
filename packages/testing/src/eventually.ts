import { setTimeout as delay } from "node:timers/promises";

/** Bounds of a wait. */
export interface EventuallyOptions {
  /** Default: 5,000. */
  readonly timeoutMs?: number;
  /** Pause between two tries. Default: 20. */
  readonly intervalMs?: number;
}

/**
 * Tries a condition until it holds: until it returns anything but `false` or `undefined`, and does not throw. Returns what it
 * returned. When the time is up it throws an error whose cause is what the last try threw.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 5_000, intervalMs = 20 }: EventuallyOptions = {},
): Promise<Exclude<T, false | undefined>> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    let cause: unknown;
    try {
      const value = await condition();
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadlineMs) {
      const why = cause instanceof Error ? `: ${cause.message}` : "";
      throw new Error(`the condition did not hold within ${timeoutMs} ms${why}`, { cause });
    }
    await delay(intervalMs);
  }
}
