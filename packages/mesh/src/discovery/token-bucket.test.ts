import { createFakeClock } from "@protoloom/testing";
import { describe, expect, test } from "vitest";
import { createTokenBucket } from "./token-bucket.ts";

describe("a token bucket", () => {
  test("lets its burst pass at once, and then one at a time", async () => {
    const clock = createFakeClock();
    const bucket = createTokenBucket({ burst: 2, everyMs: 1_000 }, clock);
    expect([bucket.tryTake(), bucket.tryTake(), bucket.tryTake()]).toEqual([true, true, false]);
    await clock.advance(999);
    expect(bucket.tryTake()).toBe(false);
    await clock.advance(1);
    expect([bucket.tryTake(), bucket.tryTake()]).toEqual([true, false]);
    await clock.advance(60_000);
    expect([bucket.tryTake(), bucket.tryTake(), bucket.tryTake()]).toEqual([true, true, false]);
  });

  test("of a watch and of its evidence together let at most 20 requests pass in any 10 s", async () => {
    const clock = createFakeClock();
    const never = new AbortController();
    const queries = createTokenBucket({ burst: 2, everyMs: 1_000 }, clock);
    const evidence = createTokenBucket({ burst: 4, everyMs: 2_500 }, clock);
    const times: number[] = [];
    const takeAll = async (): Promise<void> => {
      for (;;) {
        await queries.take(never.signal);
        times.push(clock.monotonicMs());
        while (evidence.tryTake()) times.push(clock.monotonicMs());
      }
    };
    const taking = takeAll().catch(() => {});
    await clock.advance(35_000);
    never.abort(new Error("enough"));
    await taking;
    expect(times.length).toBeGreaterThan(45);
    for (const fromMs of times)
      expect(times.filter((atMs) => atMs >= fromMs && atMs < fromMs + 10_000).length).toBeLessThanOrEqual(20);
  });

  test("ends a wait with the signal's reason", async () => {
    const clock = createFakeClock();
    const bucket = createTokenBucket({ burst: 1, everyMs: 1_000 }, clock);
    const stop = new AbortController();
    await bucket.take(stop.signal);
    const waiting = bucket.take(stop.signal);
    const reason = new Error("stop");
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(bucket.take(stop.signal)).rejects.toBe(reason);
  });
});
