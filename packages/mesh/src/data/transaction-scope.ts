import { AsyncLocalStorage } from "node:async_hooks";

/**
 * Knows whether the code that runs belongs to a transaction of one database. A query outside of the transaction that is
 * open would deadlock on SQLite and silently read around it on PostgreSQL, so it is refused on both.
 */
export interface TransactionScope {
  /** Runs the body of a transaction. What is to be done after its commit is added to `afterCommit`. */
  run<T>(afterCommit: (() => void)[], body: () => Promise<T>): Promise<T>;
  /** Adds to what the transaction that is open here does after its commit. Throws outside of one. */
  afterCommit(work: () => void): void;
  /** Throws inside the body of a transaction. */
  assertOutside(): void;
}

/** One scope a database. */
export function createTransactionScope(): TransactionScope {
  const storage = new AsyncLocalStorage<{ open: boolean; readonly afterCommit: (() => void)[] }>();
  return {
    async run(afterCommit, body) {
      const state = { open: true, afterCommit };
      try {
        return await storage.run(state, body);
      } finally {
        // Work that outlives the body still carries its store; for it the transaction is over.
        state.open = false;
      }
    },
    afterCommit(work) {
      const state = storage.getStore();
      if (state?.open !== true) throw new Error("no transaction is open here, and so none will be committed");
      state.afterCommit.push(work);
    },
    assertOutside() {
      if (storage.getStore()?.open === true) {
        throw new Error("a query outside of the transaction that is open here: use the transaction that the callback was given");
      }
    },
  };
}
