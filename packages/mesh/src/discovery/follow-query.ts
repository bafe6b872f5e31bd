import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Random } from "../base/random.ts";
import type { ConsulAnswer } from "../consul/consul-client.ts";
import { backOffMs } from "./back-off.ts";
import { settleMs } from "./fail-static.ts";
import { createTokenBucket } from "./token-bucket.ts";

/** How a query is followed. */
export const followDefaults = {
  /** How long the registry may hold a query that has no news, in ms. */
  waitMs: 10_000,
  /** The same while an answer is in doubt, in ms; it doubles up to `waitMs`. */
  doubtWaitMs: 1_000,
  /** Queries that may follow each other at once; then one in `queryEveryMs`. */
  queryBurst: 2,
  /** With `evidenceEveryMs` this leaves at most 20 requests in any 10 s. */
  queryEveryMs: 1_000,
} as const;

/** What followQuery works with. */
export interface FollowOptions<T> {
  /** Makes one request. Index 0 answers at once, every other one when the resource has changed since, or after `waitMs`. */
  query(how: { readonly index: bigint; readonly waitMs: number; readonly signal: AbortSignal }): Promise<ConsulAnswer<T>>;
  /** Takes every answer, changed or not. `settled` as in fail-static.ts. The answer is asked for again soon if in doubt. */
  onAnswer(value: T, how: { readonly settled: boolean }): Promise<"believed" | "doubted">;
  onFailure(error: unknown): void;
  readonly clock: Clock;
  readonly random: Random;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/**
 * Follows a resource by blocking queries until the signal aborts (Consul: "Blocking Queries"). An index that falls starts
 * over at 0, index 0 is an error, and so is everything that cannot be read. The rate is bounded, whatever the registry does. After a failure the next request starts over
 * at index 0: a registry that was restarted would hold a higher index for the whole wait.
 */
export async function followQuery<T>(options: FollowOptions<T>): Promise<void> {
  const { query, onAnswer, onFailure, clock, random, signal } = options;
  const bucket = createTokenBucket({ burst: followDefaults.queryBurst, everyMs: followDefaults.queryEveryMs }, clock);
  let index = 0n;
  let failures = 0;
  let doubts = 0;
  let answered = false;
  let troubledAtMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    try {
      await bucket.take(signal);
      const waitMs = doubts === 0 ? options.waitMs : Math.min(options.waitMs, followDefaults.doubtWaitMs * 2 ** (doubts - 1));
      const answer = await query({ index, waitMs, signal });
      if (answer.index === 0n) throw new MeshError(Code.INTERNAL, "registry: an answer without index, or with index 0");
      if (answer.index < index) troubledAtMs = clock.monotonicMs();
      index = answer.index < index ? 0n : answer.index;
      failures = 0;
      answered = true;
      const verdict = await onAnswer(answer.value, { settled: clock.monotonicMs() - troubledAtMs >= settleMs });
      doubts = verdict === "doubted" ? Math.min(doubts + 1, 16) : 0;
    } catch (error) {
      if (signal.aborted) return;
      index = 0n;
      // Before the first answer nothing is known that could be lost.
      if (answered) troubledAtMs = clock.monotonicMs();
      onFailure(error);
      // The abort ends the wait, and the loop.
      await clock.sleep(backOffMs(error, failures, random), signal).catch(() => {});
      failures += 1;
    }
  }
}
