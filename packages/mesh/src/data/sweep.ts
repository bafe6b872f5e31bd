import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";

/** What is done again and again, until the sweep is disposed. */
export interface SweepOptions {
  readonly sweep: () => Promise<void>;
  /** Pause before each time, in ms. */
  readonly intervalMs: number;
  /** What the log says when it fails; the next time does what this one left. */
  readonly failure: string;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Does something regularly. Disposing waits for what is under way. */
export function startSweep({ sweep, intervalMs, failure, logger, clock }: SweepOptions): AsyncDisposable {
  const ended = new AbortController();
  const { signal } = ended;
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await clock.sleep(intervalMs, signal);
        await sweep();
      } catch (error) {
        if (!signal.aborted) logger.warn({ err: error }, failure);
      }
    }
  };
  const sweeping = run();
  return {
    async [Symbol.asyncDispose]() {
      ended.abort();
      await sweeping;
    },
  };
}
