import { describe, expect, test } from "vitest";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { backOffMs } from "./back-off.ts";

const most = (): number => 1 - Number.EPSILON;
const least = (): number => 0;

function refused(httpStatus: number, info: Readonly<Record<string, string>> = {}): MeshError {
  return new MeshError(Code.UNAVAILABLE, "refused", { info: { httpStatus: `${httpStatus}`, ...info } });
}

describe("the wait after a failure", () => {
  test.each([
    ["a connection that fails, first", new Error("ECONNREFUSED"), 0, 0, 100],
    ["a connection that fails, third", new Error("ECONNREFUSED"), 2, 0, 400],
    ["a connection that fails for long", new Error("ECONNREFUSED"), 1_000, 0, 1_200],
    ["500", refused(500), 0, 0, 100],
    ["404", refused(404), 1, 0, 200],
    ["400", refused(400), 0, 30_000, 30_000],
    ["401", refused(401), 0, 30_000, 30_000],
    ["403", refused(403), 9, 30_000, 30_000],
    ["429", refused(429), 0, 0, 800],
    ["429 with Retry-After", refused(429, { retryAfterMs: "3000" }), 0, 3_000, 3_300],
    ["503 with Retry-After", refused(503, { retryAfterMs: "1000" }), 5, 1_000, 1_100],
    ["503 with a Retry-After of a day", refused(503, { retryAfterMs: "86400000" }), 0, 30_000, 33_000],
  ] as const)("of %s is within its limits", (_, error, attempt, leastMs, mostMs) => {
    expect(backOffMs(error, attempt, least)).toBe(leastMs);
    expect(backOffMs(error, attempt, most)).toBeCloseTo(mostMs, 6);
  });
});
