import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";

/** When the event loop counts as late. */
export const lagDefaults = {
  /** How often it is measured, in ms. */
  everyMs: 250,
  /** Lag above which a sample is late, in ms. */
  lateMs: 500,
  /** Late samples in a row after which the process is not ready: one long garbage collection is no reason. */
  lateSamples: 3,
  /** At most one line of log in this time, in ms. */
  logEveryMs: 10_000,
} as const;

/** How late the timers of this process fire: while they do, no call is answered in time either. */
export interface EventLoopLag extends Disposable {
  /** The last sample, in whole ms. */
  readonly lagMs: number;
  /** True while the loop has been late for several samples in a row. */
  readonly isLate: boolean;
}

/**
 * Measures the lag of the event loop until it is disposed; gauge `mesh_event_loop_lag_ms`. A late process says so at /readyz.
 * Its health and its registration stay as they are: under overload all instances are late, and taking them out one by one
 * would load the others more. Clients prefer the faster ones by themselves.
 */
export function watchEventLoop({
  clock,
  logger,
  meter,
}: {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}): EventLoopLag {
  const { everyMs, lateMs, lateSamples, logEveryMs } = lagDefaults;
  let lagMs = 0;
  let late = 0;
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  let stop: (() => void) | undefined;

  function sample(dueMs: number): void {
    const nowMs = clock.monotonicMs();
    lagMs = Math.max(0, Math.round(nowMs - dueMs));
    late = lagMs > lateMs ? late + 1 : 0;
    meter.gauge("mesh_event_loop_lag_ms", lagMs);
    if (late > 0 && nowMs - loggedAtMs >= logEveryMs) {
      loggedAtMs = nowMs;
      logger.warn({ lagMs }, "the event loop is late: something holds up this process");
    }
    next();
  }
  function next(): void {
    const dueMs = clock.monotonicMs() + everyMs;
    stop = clock.after(everyMs, () => sample(dueMs));
  }
  next();

  return {
    get lagMs() {
      return lagMs;
    },
    get isLate() {
      return late >= lateSamples;
    },
    [Symbol.dispose]: () => stop?.(),
  };
}
