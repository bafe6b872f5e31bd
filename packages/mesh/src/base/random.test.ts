import { property, assert, integer } from "fast-check";
import { expect, test } from "vitest";
import { fullJitterMs, seededRandom } from "./random.ts";

test("a seed gives the same numbers again, from 0 up to but not 1, evenly", () => {
  const one = seededRandom(7);
  const two = seededRandom(7);
  let sum = 0;
  for (let draw = 0; draw < 10_000; draw++) {
    const value = one();
    expect(value).toBe(two());
    expect(value >= 0 && value < 1).toBe(true);
    sum += value;
  }
  expect(sum / 10_000).toBeCloseTo(0.5, 1);
  expect(seededRandom(8)()).not.toBe(seededRandom(7)());
});

test("a wait is never longer than its cap, nor than the doubled base", () => {
  assert(
    property(integer({ min: 0, max: 10_000 }), integer(), (attempt, seed) => {
      const waitMs = fullJitterMs(attempt, { baseMs: 50, maxMs: 2_000 }, seededRandom(seed));
      expect(waitMs).toBeGreaterThanOrEqual(0);
      expect(waitMs).toBeLessThan(Math.min(2_000, 50 * 2 ** Math.min(attempt, 30)) + 1e-9);
    }),
  );
});
