import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";

/** Says that the registry fails, without a storm: whatever fails, and how often, is one line in a while. */
export interface TroubleLog {
  /** Logs a failure, unless one was logged a short while ago; then it is counted. */
  trouble(error: unknown, what: string): void;
  /** The registry answered: ends a trouble that was logged. */
  calm(): void;
}

/** A log of at most one failure in `everyMs`, 10 s by default. Share one in a process. */
export function createTroubleLog(logger: Logger, clock: Clock, everyMs = 10_000): TroubleLog {
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  let more = 0;
  let troubled = false;
  return {
    trouble(error, what) {
      if (clock.monotonicMs() - loggedAtMs < everyMs) {
        more += 1;
        return;
      }
      const cause = error instanceof Error ? error.message : String(error);
      logger.warn({ cause, failures: more + 1 }, what);
      loggedAtMs = clock.monotonicMs();
      more = 0;
      troubled = true;
    },
    calm() {
      if (!troubled) return;
      troubled = false;
      logger.info({}, "the registry answers again");
    },
  };
}
