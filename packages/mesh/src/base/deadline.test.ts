import { describe, expect, test } from "vitest";
import { createFakeClock } from "@protoloom/testing";
import { Code } from "./code.ts";
import { withDeadline } from "./deadline.ts";

describe("withDeadline", () => {
  test("aborts at the deadline, with the error of the call", async () => {
    const clock = createFakeClock();
    using scope = withDeadline(clock.monotonicMs() + 100, undefined, clock);
    await clock.advance(99);
    expect(scope.aborted).toBe(false);
    expect(scope.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(scope.signal.aborted).toBe(true);
    expect(scope.reason).toMatchObject({
      code: Code.DEADLINE_EXCEEDED,
      reason: "DEADLINE_PASSED",
      detail: "no answer within 100 ms",
    });
    expect(scope.signal.reason).toBe(scope.reason);
  });

  test("aborts with its parent, whose reason it takes", () => {
    const parent = new AbortController();
    const clock = createFakeClock();
    using scope = withDeadline(Number.POSITIVE_INFINITY, parent.signal, clock);
    const { signal } = scope;
    const reason = new Error("the caller has gone");
    parent.abort(reason);
    expect(signal.reason).toBe(reason);
  });

  test.each([
    [
      "a deadline that has passed",
      (clock: ReturnType<typeof createFakeClock>) => withDeadline(clock.monotonicMs(), undefined, clock),
      Code.DEADLINE_EXCEEDED,
    ],
    [
      "a parent that is aborted",
      (clock: ReturnType<typeof createFakeClock>) => withDeadline(Infinity, AbortSignal.abort({ code: Code.CANCELLED }), clock),
      Code.CANCELLED,
    ],
  ])("is aborted from the start by %s", (_what, create, code) => {
    using scope = create(createFakeClock());
    expect(scope.aborted).toBe(true);
    expect(scope.reason).toMatchObject({ code });
    expect(scope.signal.aborted).toBe(true);
  });

  test("tells its listener, also one that comes late, and keeps the first reason", () => {
    const clock = createFakeClock();
    using scope = withDeadline(Infinity, undefined, clock);
    const told: unknown[] = [];
    scope.onAbort((reason) => told.push(reason));
    scope.abort("first");
    scope.abort("second");
    scope.onAbort((reason) => told.push(reason));
    expect(told).toEqual(["first", "first"]);
    expect(scope.signal.reason).toBe("first");
  });

  test("holds nothing of its parent and its clock once it is disposed", async () => {
    const parent = new AbortController();
    const clock = createFakeClock();
    const told: unknown[] = [];
    {
      using scope = withDeadline(clock.monotonicMs() + 10, parent.signal, clock);
      scope.onAbort((reason) => told.push(reason));
    }
    parent.abort(new Error("late"));
    await clock.advance(20);
    expect(told).toEqual([]);
  });

  test("takes a deadline beyond what a timer can hold for none", async () => {
    const clock = createFakeClock();
    using scope = withDeadline(clock.monotonicMs() + 2 ** 40, undefined, clock);
    await clock.advance(1_000);
    expect(scope.aborted).toBe(false);
  });
});
