import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { classifyPostgres } from "./database-failure.ts";
import type { Engine } from "./engine.ts";
import { createPostgresPeers } from "./postgres-peers.ts";
import { createPostgresPool, poolOf, withPostgresClient } from "./postgres-pool.ts";
import type { PostgresQuery } from "./postgres-pool.ts";
import type { TransactionScope } from "./transaction-scope.ts";

/** What opening a schema needs; times in ms. */
export interface PostgresEngineOptions {
  /** `postgres://` URL. A pooler in front has to pool sessions, not transactions. */
  readonly url: string;
  /** Schema of the service. It is made when it is missing. */
  readonly schema: string;
  readonly maxConnections: number;
  readonly acquireTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
  /** Longest wait for another instance that changes the schema. */
  readonly migrationTimeoutMs: number;
  readonly scope: TransactionScope;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** First half of the advisory lock of the migrations; the second is the hash of the schema. */
const migrationLock = 0x6d657368;

/** Opens a schema of PostgreSQL for one service. Nothing is connected yet. */
export function openPostgresEngine(options: PostgresEngineOptions): Engine {
  const pool = createPostgresPool({ ...options, onAcquire: () => options.scope.assertOutside() });
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  return {
    name: "postgres",
    reader: db,
    writer: db,
    async alone(work) {
      await withPostgresClient(
        options.url,
        { schema: options.schema, connectTimeoutMs: options.acquireTimeoutMs },
        async (query) => {
          await enterSchema(query, options);
          await work(new Kysely<unknown>({ dialect: new PostgresDialect({ pool: poolOf(query) }) }));
        },
      );
    },
    view: async (work) => await db.transaction().setIsolationLevel("repeatable read").setAccessMode("read only").execute(work),
    peers: createPostgresPeers(db, options),
    classify: classifyPostgres,
    close: async () => await pool.end(),
  };
}

/** Waits for the lock of the schema, which this connection holds until it ends, and makes the schema. */
async function enterSchema(query: PostgresQuery, { schema, migrationTimeoutMs }: PostgresEngineOptions): Promise<void> {
  const name = pg.escapeIdentifier(schema);
  await query("select set_config('lock_timeout', $1, false), set_config('search_path', $2, false)", [
    String(migrationTimeoutMs),
    name,
  ]);
  await query("select pg_advisory_lock($1, hashtext($2))", [migrationLock, schema]);
  // Asked first, since CREATE SCHEMA IF NOT EXISTS needs the right to create schemas even where one exists.
  const { rowCount } = await query("select 1 from pg_namespace where nspname = $1", [schema]);
  if (rowCount === 0) await query(`create schema ${name}`, []);
}
