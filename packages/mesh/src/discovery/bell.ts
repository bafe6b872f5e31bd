import type { Clock } from "../base/clock.ts";

/** A wait that can be cut short. A ring while nobody waits counts for the next wait. */
export interface Bell {
  ring(): void;
  /** Resolves after `ms`, or at the next ring. One waiter at a time. */
  wait(ms: number): Promise<void>;
}

/** Builds a bell that has not rung. */
export function createBell(clock: Clock): Bell {
  let rung = false;
  let waiting: AbortController | undefined;
  return {
    ring() {
      rung = true;
      waiting?.abort();
    },
    async wait(ms) {
      if (!rung) {
        waiting = new AbortController();
        try {
          await clock.sleep(ms, waiting.signal);
        } catch {
          // The ring ended the sleep, as it should.
        }
        waiting = undefined;
      }
      rung = false;
    },
  };
}
