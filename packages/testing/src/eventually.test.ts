import { expect, test } from "vitest";
import { eventually } from "./eventually.ts";

test("it tries again while the condition throws, or gives false or undefined", async () => {
  const outcomes = [() => false, () => undefined, () => expect(1).toBe(2), () => 0];
  expect(await eventually(() => outcomes.shift()?.(), { intervalMs: 1 })).toBe(0);
  expect(outcomes).toEqual([]);
});

test("when the time is up it throws what the last try threw, as the cause", async () => {
  const reason = new Error("not yet");
  const waiting = eventually(() => Promise.reject(reason), { timeoutMs: 20, intervalMs: 1 });
  await expect(waiting).rejects.toMatchObject({ message: "the condition did not hold within 20 ms: not yet", cause: reason });
});
