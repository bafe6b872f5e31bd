import { expect, test } from "vitest";
import { createFakeClock } from "./fake-clock.ts";

test("alarms ring in the order of their times, each at its own", async () => {
  const clock = createFakeClock({ nowMs: 1_000 });
  const rung: [string, number][] = [];
  clock.after(20, () => rung.push(["b", clock.now()]));
  clock.after(10, () => rung.push(["a", clock.now()]));
  clock.after(31, () => rung.push(["late", clock.now()]));
  await clock.advance(30);
  expect(rung).toEqual([
    ["a", 1_010],
    ["b", 1_020],
  ]);
  expect(clock.monotonicMs()).toBe(30);
});

test("a loop that sleeps takes all of its turns in one advance", async () => {
  const clock = createFakeClock();
  const turns: number[] = [];
  const loop = (async () => {
    for (let turn = 0; turn < 5; turn++) {
      await clock.sleep(100);
      turns.push(clock.monotonicMs());
    }
  })();
  await clock.advance(1_000);
  await loop;
  expect(turns).toEqual([100, 200, 300, 400, 500]);
});

test("a cancelled alarm does not ring, and an aborted sleep rejects with the reason", async () => {
  const clock = createFakeClock();
  let rung = false;
  clock.after(5, () => (rung = true))();
  const controller = new AbortController();
  const reason = new Error("enough");
  const sleeping = expect(clock.sleep(5, controller.signal)).rejects.toBe(reason);
  controller.abort(reason);
  await sleeping;
  await expect(clock.sleep(5, controller.signal)).rejects.toBe(reason);
  await clock.advance(10);
  expect(rung).toBe(false);
});
