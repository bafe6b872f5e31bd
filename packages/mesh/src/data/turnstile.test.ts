import { describe, expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { createTurnstile } from "./turnstile.ts";

describe("a turnstile", () => {
  test("lets one in at a time, in the order of arrival", async () => {
    const turnstile = createTurnstile(systemClock, { waitMs: 1_000, tooLate: () => new Error("too late") });
    const order: number[] = [];
    let inside = 0;
    await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        await turnstile.enter();
        inside += 1;
        expect(inside).toBe(1);
        await Promise.resolve();
        order.push(index);
        inside -= 1;
        turnstile.leave();
      }),
    );
    expect(order).toEqual(Array.from({ length: 10 }, (_, index) => index));
  });

  test("rejects who waits too long, and passes the turn on to the next", async () => {
    const turnstile = createTurnstile(systemClock, { waitMs: 20, tooLate: () => new Error("too late") });
    await turnstile.enter();
    await expect(turnstile.enter()).rejects.toThrow("too late");
    const waiting = turnstile.enter();
    turnstile.leave();
    await waiting;
    turnstile.leave();
    expect(turnstile.enter()).toBeUndefined();
  });
});
