import { describe, expect, test } from "vitest";
import { silentLogger } from "../base/logger.ts";
import { silentMeter } from "../base/meter.ts";
import type { Clock } from "../base/clock.ts";
import { lagDefaults, watchEventLoop } from "./event-loop-lag.ts";

/** A clock whose alarms ring when the test says so, however late. */
function lateClock(): { clock: Clock; ring(lateByMs: number): void; isSet(): boolean } {
  let nowMs = 0;
  let alarm: { atMs: number; callback: () => void } | undefined;
  return {
    clock: {
      now: () => nowMs,
      monotonicMs: () => nowMs,
      sleep: () => Promise.resolve(),
      after(ms, callback) {
        const set = { atMs: nowMs + ms, callback };
        alarm = set;
        return () => {
          if (alarm === set) alarm = undefined;
        };
      },
    },
    ring(lateByMs) {
      const due = alarm;
      alarm = undefined;
      if (due === undefined) throw new Error("no alarm is set");
      nowMs = due.atMs + lateByMs;
      due.callback();
    },
    isSet: () => alarm !== undefined,
  };
}

describe("the lag of the event loop", () => {
  test("is how late its timer fires", () => {
    const { clock, ring } = lateClock();
    const gauges: number[] = [];
    const meter = { ...silentMeter, gauge: (_name: string, value: number) => gauges.push(value) };
    using lag = watchEventLoop({ clock, logger: silentLogger, meter });
    ring(3);
    ring(120);
    expect(lag.lagMs).toBe(120);
    expect(gauges).toEqual([3, 120]);
    expect(lag.isLate).toBe(false);
  });

  test("makes a process late after several late samples in a row, and one good one ends it", () => {
    const { clock, ring } = lateClock();
    using lag = watchEventLoop({ clock, logger: silentLogger, meter: silentMeter });
    for (let sample = 1; sample <= lagDefaults.lateSamples; sample++) {
      expect(lag.isLate).toBe(false);
      ring(lagDefaults.lateMs + 1);
    }
    expect(lag.isLate).toBe(true);
    ring(0);
    expect(lag.isLate).toBe(false);
  });

  test("is logged at most once in ten seconds", () => {
    const { clock, ring } = lateClock();
    const lines: object[] = [];
    const logger = { ...silentLogger, warn: (fields: object) => lines.push(fields) };
    using lag = watchEventLoop({ clock, logger, meter: silentMeter });
    for (let sample = 0; sample < 6; sample++) ring(2_000);
    expect(lines).toEqual([{ lagMs: 2_000 }, { lagMs: 2_000 }]);
    expect(lag.isLate).toBe(true);
  });

  test("is no longer measured once it is disposed", () => {
    const { clock, isSet } = lateClock();
    const lag = watchEventLoop({ clock, logger: silentLogger, meter: silentMeter });
    expect(isSet()).toBe(true);
    lag[Symbol.dispose]();
    expect(isSet()).toBe(false);
  });
});
