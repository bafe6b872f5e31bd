import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Kysely } from "kysely";
import type { Clock } from "../base/clock.ts";
import { classifySqlite, DatabaseError } from "./database-failure.ts";
import type { Engine } from "./engine.ts";
import { createSqliteDialect } from "./sqlite-dialect.ts";
import { ownSqliteFile } from "./sqlite-owner.ts";
import type { TransactionScope } from "./transaction-scope.ts";
import { createTurnstile } from "./turnstile.ts";

/** What opening a file needs. */
export interface SqliteEngineOptions {
  /** Path of the database file; its folder is made. `.owner`, `-wal` and `-shm` files appear beside it. */
  readonly file: string;
  /** Longest wait for the one writing connection, in ms. */
  readonly acquireTimeoutMs: number;
  readonly scope: TransactionScope;
  readonly clock: Clock;
}

/**
 * How long a statement blocks on a lock of another program (a shell, a backup), in ms. It blocks the whole process, so it
 * is short: the transaction is then tried again.
 */
const busyTimeoutMs = 100;

/**
 * Opens a file that this process owns: one connection that writes, one transaction at a time, and one that reads what is
 * committed meanwhile. An acknowledged commit is on the disk (WAL, synchronous=FULL).
 */
export async function openSqliteEngine({ file, acquireTimeoutMs, scope, clock }: SqliteEngineOptions): Promise<Engine> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const disown = await ownSqliteFile(file, clock);
  try {
    const writing = openConnection(file);
    const turnstile = createTurnstile(clock, {
      waitMs: acquireTimeoutMs,
      tooLate: () => new DatabaseError("busy", `no turn to write to ${file} within ${acquireTimeoutMs} ms`),
    });
    const writer = new Kysely<unknown>({
      dialect: createSqliteDialect(writing, { take: turnstile.enter, give: turnstile.leave }),
    });
    const reading = openConnection(file);
    reading.exec("pragma query_only = 1");
    const reader = new Kysely<unknown>({ dialect: createSqliteDialect(reading, { take: scope.assertOutside, give: () => {} }) });
    return {
      name: "sqlite",
      reader,
      writer,
      alone: async (work) => await work(writer),
      async view(work) {
        const connection = openConnection(file);
        try {
          connection.exec("pragma query_only = 1; begin");
          return await work(
            new Kysely<unknown>({ dialect: createSqliteDialect(connection, { take: () => {}, give: () => {} }) }),
          );
        } finally {
          connection.close();
        }
      },
      peers: undefined,
      classify: classifySqlite,
      async close() {
        reading.close();
        writing.close();
        disown();
      },
    };
  } catch (error) {
    disown();
    throw error;
  }
}

function openConnection(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { enableForeignKeyConstraints: true, timeout: busyTimeoutMs });
  const mode = database.prepare("pragma journal_mode = wal").get()?.["journal_mode"];
  if (mode !== "wal") {
    database.close();
    throw new Error(`${file} cannot use a write-ahead log (${String(mode)}): SQLite needs a local disk`);
  }
  database.exec("pragma synchronous = full; pragma trusted_schema = off");
  return database;
}
