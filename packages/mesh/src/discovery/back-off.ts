import { MeshError } from "../base/mesh-error.ts";
import type { Random } from "../base/random.ts";
import { fullJitterMs } from "../base/random.ts";
import { httpStatus } from "../consul/from-consul.ts";

/** How long to leave a registry alone that failed. */
export const backOffDefaults = {
  /** Cap of the first wait, in ms; it doubles. */
  baseMs: 100,
  /** Cap of every wait, in ms: a registry that heals is asked within it, so that an update is seen within 1.5 s. */
  maxMs: 1_200,
  /** Wait after a refusal that does not go away by itself (a token, a malformed request), in ms. */
  refusedMs: 30_000,
  /** The longest wait that a Retry-After is granted, in ms. */
  maxRetryAfterMs: 30_000,
} as const;

/**
 * How long to wait after a failure, in ms. 400, 401 and 403: 30 s, since asking again changes nothing. 429 and 503: what
 * Retry-After asks for, and up to a tenth more, so that not all return at once; without one, as after the fourth failure.
 * Everything else: full jitter below a cap that doubles with each attempt (counted from 0).
 */
export function backOffMs(error: unknown, attempt: number, random: Random): number {
  const { baseMs, maxMs, refusedMs, maxRetryAfterMs } = backOffDefaults;
  switch (httpStatus(error)) {
    case 400:
    case 401:
    case 403:
      return refusedMs;
    case 429:
    case 503: {
      const asked = error instanceof MeshError ? error.info["retryAfterMs"] : undefined;
      if (asked !== undefined) return Math.min(Number(asked), maxRetryAfterMs) * (1 + random() / 10);
      return fullJitterMs(Math.max(attempt, 3), { baseMs, maxMs }, random);
    }
    default:
      return fullJitterMs(attempt, { baseMs, maxMs }, random);
  }
}
