import type { Clock, Logger } from "@protoloom/mesh/process";

/** Keeps a state stored while it changes. */
export interface Keeper extends AsyncDisposable {
  /** Something has changed: it will be stored within `delayMs`. */
  changed(): void;
  /** Resolves when all that has changed so far is stored. Rejects when it cannot be. */
  stored(): Promise<void>;
}

/** How a state is kept. */
export interface KeeperOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Time in which changes that nobody waits for are gathered. */
  readonly delayMs: number;
  /** Stores the state as it is when called. */
  readonly save: () => Promise<void>;
}

/** Stores after changes: one save at a time, and what changes during a save goes with the next. Disposing stores the rest. */
export function createKeeper({ clock, log, delayMs, save }: KeeperOptions): Keeper {
  let dirty = false;
  let cancel: (() => void) | undefined;
  let running: Promise<void> = Promise.resolve();
  const storeNow = async (): Promise<void> => {
    cancel?.();
    cancel = undefined;
    // Whoever comes while a save runs waits for it, and then for one that has their change.
    const turn = running.then(async () => {
      if (!dirty) return;
      dirty = false;
      try {
        await save();
      } catch (error) {
        dirty = true;
        throw error;
      }
    });
    running = turn.catch(() => {});
    await turn;
  };
  const storeLater = (): void => {
    storeNow().catch((error: unknown) => {
      log.error({ err: error }, "the state cannot be stored");
      cancel ??= clock.after(1_000, storeLater);
    });
  };
  return {
    changed() {
      dirty = true;
      cancel ??= clock.after(delayMs, storeLater);
    },
    stored: storeNow,
    async [Symbol.asyncDispose]() {
      await storeNow();
    },
  };
}

/** Keeps nothing: for a registry without a data directory. */
export const noKeeper: Keeper = {
  changed: () => {},
  stored: async () => {},
  [Symbol.asyncDispose]: async () => {},
};
