import { DatabaseSync } from "node:sqlite";
import type { Clock } from "../base/clock.ts";
import { classifySqlite } from "./database-failure.ts";

/** How long the owner before us may take to end, in ms: a service that is restarted overlaps with itself for a moment. */
const ownerWaitMs = 1_000;

/** How often the lock is tried, in ms. */
const ownerTryMs = 50;

/**
 * Makes this process the only user of a database file, until the returned function is called or the process ends, however
 * it ends: the lock is an open BEGIN EXCLUSIVE on `<file>.owner`, which the operating system drops with the process.
 * Several processes on one file do not fail loudly, they starve (measured with four: 16,238, 2,160, 1 and 1 commits).
 */
export async function ownSqliteFile(file: string, clock: Clock): Promise<() => void> {
  const giveUpMs = clock.monotonicMs() + ownerWaitMs;
  for (;;) {
    const lock = new DatabaseSync(`${file}.owner`);
    try {
      lock.exec("pragma busy_timeout = 0; pragma journal_mode = delete; begin exclusive");
      return () => lock.close();
    } catch (cause) {
      lock.close();
      if (classifySqlite(cause).kind !== "busy") throw new Error(`${file}.owner cannot be locked`, { cause });
      if (clock.monotonicMs() >= giveUpMs) {
        throw new Error(
          `${file} is in use by another process: on SQLite one process owns it; several instances need DATABASE_URL (PostgreSQL)`,
          { cause },
        );
      }
    }
    await clock.sleep(ownerTryMs);
  }
}
