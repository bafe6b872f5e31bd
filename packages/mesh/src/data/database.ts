import { join } from "node:path";
import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import type { ReadonlyKysely } from "kysely/readonly";
import { currentCall } from "../base/call-context.ts";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { fullJitterMs, systemRandom } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import type { DatabaseFailure } from "./database-failure.ts";
import type { Engine } from "./engine.ts";
import { migrate } from "./migrate.ts";
import type { Migrations } from "./migration.ts";
import type { Peers } from "./peers.ts";
import { createTransactionScope } from "./transaction-scope.ts";
import type { TransactionScope } from "./transaction-scope.ts";

/** Limits of a database, the same for both engines. */
export const databaseDefaults = {
  /** Connections to PostgreSQL of one process. SQLite has one that writes and one that reads. */
  maxConnections: 10,
  /** Longest wait for a connection, or for the turn to write on SQLite, in ms. */
  acquireTimeoutMs: 1_500,
  /** Longest statement, in ms (PostgreSQL: statement_timeout). */
  statementTimeoutMs: 5_000,
  /** Longest wait for a row that another transaction has locked, in ms (PostgreSQL: lock_timeout). */
  lockTimeoutMs: 3_000,
  /** Longest pause between two statements of a transaction, in ms (PostgreSQL: idle_in_transaction_session_timeout). */
  idleInTransactionTimeoutMs: 5_000,
  /** Longest wait for another instance that changes the schema, in ms. */
  migrationTimeoutMs: 60_000,
  /** How long a start waits for a database that cannot be reached yet, in ms. */
  openTimeoutMs: 15_000,
} as const;

/** How often a transaction is run, and with which pauses, in ms. One without a connection is run again within `withinMs` only. */
const transactionTries = { most: 5, withinMs: 1_000, baseMs: 10, maxMs: 200 } as const;

/** What a service says about its database. */
export interface DatabaseOptions {
  /** Name of the service: the schema on PostgreSQL, the file on SQLite. */
  readonly name: string;
  /** `postgres://` URL. Without it: SQLite in `dataDir`. */
  readonly url?: string | undefined;
  /** Folder of the SQLite file; it is made. */
  readonly dataDir: string;
  readonly migrations: Migrations;
  readonly logger: Logger;
  /** Overrides of `databaseDefaults`. */
  readonly limits?: Partial<Record<keyof typeof databaseDefaults, number>>;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** The database of one service. Disposing it closes every connection. */
export interface Database<Tables> extends AsyncDisposable {
  readonly engine: "sqlite" | "postgres";
  /** Reads what is committed. Inside a transaction it throws: use the transaction. */
  readonly read: ReadonlyKysely<Tables>;
  /**
   * Runs `work` in a transaction: committed when it resolves, rolled back when it rejects. On SQLite transactions run one
   * after the other. On PostgreSQL they are READ COMMITTED: a value that was read may have changed when it is written, so
   * write `set n = n + 1` or guard the update in its WHERE.
   *
   * Deadlocks, serialization failures and, within 1 s, connections that broke before the commit are tried again, 5 runs at
   * most: `work` has no effect outside of the transaction. When the connection breaks during the commit, nobody knows whether
   * it took place, and the error is passed on. Once the call that is being handled has ended, nothing is begun for it.
   */
  transaction<T>(work: (trx: Transaction<Tables>) => Promise<T>): Promise<T>;
  /**
   * Runs `work` over one view of what is committed when it makes its first query, however long it takes; other queries go
   * on beside it. On PostgreSQL it holds a connection, and back the removal of old row versions: read fast, and be done.
   */
  view<T>(work: (view: ReadonlyKysely<Tables>) => Promise<T>): Promise<T>;
  /** Calls back once the transaction that is open here has committed. It must not throw. Throws outside of a transaction. */
  afterCommit(work: () => void): void;
  /** The other processes on the same database; undefined on SQLite, where there are none. */
  readonly peers: Peers | undefined;
  /** What kind of failure an error of `read` or `transaction` is. */
  classify(error: unknown): DatabaseFailure;
  /** Resolves if the database answers. */
  ping(): Promise<void>;
}

/**
 * Opens the database of a service and brings its schema up to date. On SQLite a second process is refused; a PostgreSQL
 * that cannot be reached yet is waited for.
 */
export async function openDatabase<Tables>(options: DatabaseOptions): Promise<Database<Tables>> {
  const { clock = systemClock, random = systemRandom, logger } = options;
  const limits = { ...databaseDefaults, ...options.limits };
  const scope = createTransactionScope();
  const engine = await openEngine(options, { limits, scope, clock });
  try {
    await whenReachable(engine, { clock, random, logger, timeoutMs: limits.openTimeoutMs }, async () => {
      await migrate(engine, options.migrations, { clock, logger });
    });
  } catch (error) {
    await engine.close();
    throw error;
  }
  const writer = engine.writer as Kysely<Tables>;
  let closing: Promise<void> | undefined;
  return {
    engine: engine.name,
    // Kysely says read-only in types alone, and the two types do not overlap.
    read: engine.reader as unknown as ReadonlyKysely<Tables>,
    transaction: async (work) =>
      await runAgain(engine, { clock, random }, async (state) => await runOnce(writer, { scope, state }, work)),
    view: async (work) => await engine.view(async (view) => await work(view as unknown as ReadonlyKysely<Tables>)),
    afterCommit: scope.afterCommit,
    peers: engine.peers,
    classify: engine.classify,
    async ping() {
      await sql`select 1`.execute(engine.reader);
    },
    [Symbol.asyncDispose]: async () => await (closing ??= engine.close()),
  };
}

/** Opens the engine, and loads no driver but its own. */
async function openEngine(
  { name, url, dataDir, logger }: DatabaseOptions,
  {
    limits,
    scope,
    clock,
  }: { readonly limits: Record<keyof typeof databaseDefaults, number>; readonly scope: TransactionScope; readonly clock: Clock },
): Promise<Engine> {
  if (url === undefined) {
    const { openSqliteEngine } = await import("./sqlite-engine.ts");
    return await openSqliteEngine({ file: join(dataDir, `${name}.sqlite`), ...limits, scope, clock });
  }
  const { openPostgresEngine } = await import("./postgres-engine.ts");
  return openPostgresEngine({ url, schema: name, ...limits, scope, clock, logger });
}

/** Whether the COMMIT of a transaction has been sent. */
interface CommitState {
  committing: boolean;
}

async function runOnce<Tables, T>(
  writer: Kysely<Tables>,
  { scope, state }: { scope: TransactionScope; state: CommitState },
  work: (trx: Transaction<Tables>) => Promise<T>,
): Promise<T> {
  scope.assertOutside();
  let failed: { readonly error: unknown } | undefined;
  const afterCommit: (() => void)[] = [];
  let result: T;
  try {
    result = await writer.transaction().execute(async (trx) => {
      try {
        currentCall()?.signal.throwIfAborted();
        const done = await scope.run(afterCommit, async () => await work(trx));
        state.committing = true;
        return done;
      } catch (error) {
        failed = { error };
        throw error;
      }
    });
  } catch (error) {
    // A rollback that fails as well, since the connection is gone, must not hide why it was needed.
    throw failed === undefined ? error : failed.error;
  }
  for (const tell of afterCommit) tell();
  return result;
}

async function runAgain<T>(
  engine: Engine,
  { clock, random }: { clock: Clock; random: Random },
  run: (state: CommitState) => Promise<T>,
): Promise<T> {
  const startedMs = clock.monotonicMs();
  for (let attempt = 1; ; attempt++) {
    const state: CommitState = { committing: false };
    try {
      return await run(state);
    } catch (error) {
      const { kind } = engine.classify(error);
      const isLate = clock.monotonicMs() - startedMs >= transactionTries.withinMs;
      // The database has said that a conflict was rolled back; it finds a deadlock after 1 s, which is not too late.
      const isHarmless = kind === "conflict" || ((kind === "unavailable" || kind === "busy") && !state.committing && !isLate);
      if (!isHarmless || attempt >= transactionTries.most) throw error;
      await clock.sleep(fullJitterMs(attempt, transactionTries, random), currentCall()?.signal);
    }
  }
}

async function whenReachable(
  engine: Engine,
  { clock, random, logger, timeoutMs }: { clock: Clock; random: Random; logger: Logger; timeoutMs: number },
  work: () => Promise<void>,
): Promise<void> {
  const giveUpMs = clock.monotonicMs() + timeoutMs;
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      if (engine.classify(error).kind !== "unavailable" || clock.monotonicMs() >= giveUpMs) throw error;
      if (attempt === 1) logger.warn({ err: error }, `the database cannot be reached yet; trying for ${timeoutMs} ms`);
    }
    await clock.sleep(fullJitterMs(attempt, { baseMs: 50, maxMs: 1_000 }, random));
  }
}
