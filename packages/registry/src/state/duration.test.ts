import { describe, expect, test } from "vitest";
import { formatDuration, parseDurationMs, toDurationMs } from "./duration.ts";

describe("durations", () => {
  test.each([
    ["10s", 10_000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["2h45m", 9_900_000],
    ["100ms", 100],
    ["1us", 0.001],
    ["1µs", 0.001],
    ["1ns", 0.000001],
    [".5s", 500],
    ["1.s", 1_000],
    ["-3s", -3_000],
    ["+3s", 3_000],
    ["0", 0],
    ["", undefined],
    ["3", undefined],
    ["s", undefined],
    ["3 s", undefined],
    ["3x", undefined],
    ["1e3s", undefined],
    ["--3s", undefined],
    [".s", undefined],
  ])("%j is %s ms", (text, expected) => {
    const ms = parseDurationMs(text);
    if (expected === undefined) expect(ms).toBeUndefined();
    else expect(ms).toBeCloseTo(expected, 9);
  });

  test("a number of a body is nanoseconds", () => {
    expect(toDurationMs(3_000_000_000)).toBe(3_000);
  });

  test.each([
    [0, ""],
    [0.0005, "500ns"],
    [0.5, "500µs"],
    [100, "100ms"],
    [1_500, "1.5s"],
    [10_000, "10s"],
    [60_000, "1m0s"],
    [3_600_000, "1h0m0s"],
    [3_661_500, "1h1m1.5s"],
    [-1_000, "-1s"],
  ])("%s ms is written %j", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
