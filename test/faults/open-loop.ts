/** Load at a fixed rate, whatever the answers take: what a fault costs shows as calls that fail, not as fewer calls. */

/** One call, with times in ms of `performance.now()`. */
export interface CallRecord<Answer = unknown> {
  /** When it was to start. */
  readonly dueMs: number;
  readonly startedMs: number;
  readonly endedMs: number;
  /** What it answered, or undefined. */
  readonly answer: Answer | undefined;
  /** What it threw, or undefined. */
  readonly error: unknown;
}

/** Load that runs until it is stopped. */
export interface OpenLoop<Answer = unknown> {
  /** Calls that have started and not ended. */
  readonly inFlight: number;
  /** Calls that have ended so far. */
  readonly ended: readonly CallRecord<Answer>[];
  /** Starts no more calls, waits for those in flight, and gives all records. */
  stop(): Promise<readonly CallRecord<Answer>[]>;
}

/** Starts `perSecond` calls a second; a timer that comes late catches up. `call` gets the number of the call, from 0. */
export function startOpenLoop<Answer>(perSecond: number, call: (index: number) => Promise<Answer>): OpenLoop<Answer> {
  const ended: CallRecord<Answer>[] = [];
  const open = new Set<Promise<void>>();
  const beganMs = performance.now();
  let started = 0;
  const one = async (index: number): Promise<void> => {
    const startedMs = performance.now();
    let answer: Answer | undefined;
    let error: unknown;
    try {
      answer = await call(index);
    } catch (reason) {
      error = reason;
    }
    ended.push({ dueMs: beganMs + (index * 1_000) / perSecond, startedMs, endedMs: performance.now(), answer, error });
  };
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - beganMs) / 1_000) * perSecond);
    for (; started < due; started++) {
      const running = one(started).finally(() => open.delete(running));
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
export function failures<Answer>(records: readonly CallRecord<Answer>[]): readonly CallRecord<Answer>[] {
  return records.filter(({ error }) => error !== undefined);
}

/** A latency that `ratio` of the calls that succeeded do not exceed, from the moment each was to start, in ms. */
export function latencyMs(records: readonly CallRecord[], ratio: number): number {
  const sorted = records
    .filter(({ error }) => error === undefined)
    .map(({ dueMs, endedMs }) => endedMs - dueMs)
    .toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * ratio))] ?? 0;
}
