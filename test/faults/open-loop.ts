/** Load at a fixed rate, whatever the answers take: what a fault costs shows as calls that fail, not as fewer calls. */

/** One call, with times in ms of `performance.now()`. */
export interface CallRecord {
  readonly startedMs: number;
  readonly endedMs: number;
  /** What it threw, or undefined. */
  readonly error: unknown;
}

/** Load that runs until it is stopped. */
export interface OpenLoop {
  /** Calls that have started and not ended. */
  readonly inFlight: number;
  /** Calls that have ended so far. */
  readonly ended: readonly CallRecord[];
  /** Starts no more calls, waits for those in flight, and gives all records. */
  stop(): Promise<readonly CallRecord[]>;
}

/** Starts `perSecond` calls a second; a timer that comes late catches up. */
export function startOpenLoop(perSecond: number, call: () => Promise<unknown>): OpenLoop {
  const ended: CallRecord[] = [];
  const open = new Set<Promise<void>>();
  const beganMs = performance.now();
  let started = 0;
  const one = async (): Promise<void> => {
    const startedMs = performance.now();
    let error: unknown;
    try {
      await call();
    } catch (reason) {
      error = reason;
    }
    ended.push({ startedMs, endedMs: performance.now(), error });
  };
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - beganMs) / 1_000) * perSecond);
    for (; started < due; started++) {
      const running = one().finally(() => open.delete(running));
      open.add(running);
    }
  }, 5);
  return {
    get inFlight() {
      return open.size;
    },
    ended,
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      return ended;
    },
  };
}

/** The calls that failed. */
export function failures(records: readonly CallRecord[]): readonly CallRecord[] {
  return records.filter(({ error }) => error !== undefined);
}
