import { createFakeClock } from "@protoloom/testing";
import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { createTurnBudget, maxTurnMs } from "./turn-budget.ts";

test("a turn may go on until its time is spent, and the next has time again", async () => {
  const clock = createFakeClock();
  const budget = createTurnBudget(clock);
  expect(budget.spent()).toBeUndefined();
  await clock.advance(maxTurnMs - 1);
  expect(budget.spent()).toBeUndefined();
});

test("loops that wait for promises only let timers in", async () => {
  const budget = createTurnBudget(systemClock);
  const endMs = performance.now() + 200;
  let rounds = 0;
  let ticks = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() < endMs) {
      rounds++;
      await (budget.spent() ?? Promise.resolve());
    }
  };
  const timer = setInterval(() => ticks++, 1);
  await Promise.all(Array.from({ length: 20 }, loop));
  clearInterval(timer);
  // Without the budget there is no tick at all. A turn has 5 ms, and one round more of each loop.
  expect(ticks).toBeGreaterThan(10);
  expect(rounds).toBeGreaterThan(1_000);
});
