import { AsyncLocalStorage } from "node:async_hooks";

/**
 * Knows whether the code that runs belongs to a transaction of one database. A query outside of the transaction that is
 * open would deadlock on SQLite and silently read around it on PostgreSQL, so it is refused on both.
 */
export interface TransactionScope {
  /** Runs the body of a transaction. */
  run<T>(body: () => Promise<T>): Promise<T>;
  /** Throws inside the body of a transaction. */
  assertOutside(): void;
}

/** One scope a database. */
export function createTransactionScope(): TransactionScope {
  const storage = new AsyncLocalStorage<{ open: boolean }>();
  return {
    async run(body) {
      const state = { open: true };
      try {
        return await storage.run(state, body);
      } finally {
        // Work that outlives the body still carries its store; for it the transaction is over.
        state.open = false;
      }
    },
    assertOutside() {
      if (storage.getStore()?.open === true) {
        throw new Error("a query outside of the transaction that is open here: use the transaction that the callback was given");
      }
    },
  };
}
