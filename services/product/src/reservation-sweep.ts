import type { Clock, Logger } from "@protoloom/mesh";
import type { Database } from "@protoloom/mesh/data";
import type { ProductTables } from "./store/migrations.ts";
import type { ReservationStore } from "./store/reservation-store.ts";

/** How the sweep goes. */
export const sweepDefaults = {
  /** How often it looks for reservations that have expired, in ms. Nothing waits for it: they count nowhere meanwhile. */
  intervalMs: 10_000,
  /** Most reservations that one transaction ends. */
  batch: 100,
} as const;

/** Ends the reservations that have expired, by itself. Disposing it stops it. */
export interface ReservationSweep extends AsyncDisposable {
  /** Ends all that have expired, and gives how many this instance ended. */
  sweep(): Promise<number>;
}

/** What the sweep needs. */
export interface ReservationSweepOptions {
  readonly database: Database<ProductTables>;
  readonly reservations: ReservationStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Starts the sweep. Every instance may run one. */
export function createReservationSweep({ database, reservations, clock, logger }: ReservationSweepOptions): ReservationSweep {
  const { intervalMs, batch } = sweepDefaults;
  const ended = new AbortController();
  const sweep = async (): Promise<number> => {
    let total = 0;
    for (;;) {
      const count = await database.transaction(async (trx) => await reservations.expire(trx, batch));
      total += count;
      if (count < batch || ended.signal.aborted) return total;
    }
  };
  const sweepForEver = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      try {
        await clock.sleep(intervalMs, ended.signal);
        await sweep();
      } catch (error) {
        // The next round ends what this one left.
        if (!ended.signal.aborted) logger.warn({ err: error }, "expired reservations could not be ended");
      }
    }
  };
  const sweeping = sweepForEver();
  return {
    sweep,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await sweeping;
    },
  };
}
