import type { PostgresPool, PostgresPoolClient } from "kysely";
import pg from "pg";
import type { Logger } from "../base/logger.ts";
import { DatabaseError } from "./database-failure.ts";
import { checkParameter } from "./parameter.ts";

/** Limits of a pool, all in ms but the first. */
export interface PostgresPoolOptions {
  readonly url: string;
  /** Schema of the service: the only one on its search path. */
  readonly schema: string;
  readonly maxConnections: number;
  /** Longest wait for a connection, new or returned. */
  readonly acquireTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
  /** Called before a connection is handed out; may throw. */
  readonly onAcquire: () => void;
  readonly logger: Logger;
}

/** How much longer than the server we wait for the end of a statement, in ms: a server that hangs does not stop its own. */
const statementGraceMs = 500;

/** SQLSTATEs after which the server has closed, or is about to close, the connection. */
const connectionLost = /^(?:08|57P|25P03)/;

/**
 * A pool of connections as Kysely takes one. A connection that broke, or whose statement was given up, is thrown away and
 * not handed out again; one that breaks while nobody queries it is logged and does not end the process.
 */
export function createPostgresPool(options: PostgresPoolOptions): PostgresPool {
  const pool = new pg.Pool({
    ...connectionOptions(options.url, options.schema),
    max: options.maxConnections,
    connectionTimeoutMillis: options.acquireTimeoutMs,
    query_timeout: options.statementTimeoutMs + statementGraceMs,
    // Typed as synchronous, awaited by pg-pool.
    onConnect: (async (client) => await enter(client, options)) as (client: pg.ClientBase) => void,
  });
  const onError = (error: Error): void =>
    options.logger.warn({ err: error }, "a connection to PostgreSQL broke while it was idle");
  pool.on("error", onError);
  // The pool listens only while it holds the client: between two queries of a transaction nobody would.
  pool.on("connect", (client) => client.on("error", () => {}));
  return {
    options: pool.options,
    end: async () => await pool.end(),
    async connect() {
      options.onAcquire();
      try {
        return guard(await pool.connect());
      } catch (error) {
        throw toDatabaseError(error);
      }
    },
  };
}

/** Sets up a new connection, by a statement and not by start-up parameters: poolers refuse those. */
async function enter(client: pg.ClientBase, options: PostgresPoolOptions): Promise<void> {
  const settings = {
    search_path: pg.escapeIdentifier(options.schema),
    statement_timeout: options.statementTimeoutMs,
    lock_timeout: options.lockTimeoutMs,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs,
  };
  const calls = Object.keys(settings).map((name, index) => `set_config('${name}', $${index + 1}, false)`);
  await client.query(`select ${calls.join(", ")}`, Object.values(settings).map(String));
}

/** Runs one query and gives its rows. */
export type PostgresQuery = (sql: string, parameters: readonly unknown[]) => Promise<pg.QueryResult>;

/**
 * Opens one connection without limits, outside of any pool, and closes it after `work`, which also learns when the
 * connection breaks. `onNotification` is called for each NOTIFY that it listens to.
 */
export async function withPostgresClient(
  url: string,
  options: { readonly schema: string; readonly connectTimeoutMs: number; readonly onNotification?: () => void },
  work: (query: PostgresQuery, closed: Promise<void>) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({ ...connectionOptions(url, options.schema), connectionTimeoutMillis: options.connectTimeoutMs });
  client.on("error", () => {
    // The query that is under way, or the next one, rejects.
  });
  client.on("notification", () => options.onNotification?.());
  const closed = new Promise<void>((resolve) => client.once("end", () => resolve()));
  try {
    await client.connect().catch((error: unknown) => {
      throw toDatabaseError(error);
    });
    await work(async (sql, parameters) => await queryOn(client, sql, parameters), closed);
  } finally {
    await client.end().catch(() => {
      // It is gone already.
    });
  }
}

/** One connection as Kysely takes a pool. */
export function poolOf(query: PostgresQuery): PostgresPool {
  const client: PostgresPoolClient = { query: query as unknown as PostgresPoolClient["query"], release: () => {} };
  return { options: {}, end: async () => {}, connect: async () => client };
}

async function queryOn(client: pg.ClientBase, sql: string, parameters: readonly unknown[]): Promise<pg.QueryResult> {
  const values = parameters.map(checkParameter);
  try {
    return await client.query(sql, values);
  } catch (error) {
    throw toDatabaseError(error);
  }
}

function connectionOptions(url: string, schema: string): pg.ClientConfig {
  return { connectionString: url, application_name: `protoloom-${schema}`, keepAlive: true, types: typeParsers };
}

/** An int8 is read as a number, as on SQLite; one beyond 2^53 is an error there too, never a wrong number. */
const typeParsers: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === pg.types.builtins.INT8 ? parseInt8 : pg.types.getTypeParser(oid, format ?? "text")) as typeof pg.types.getTypeParser,
};

function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new UnsafeIntegerError(`the database holds ${text}, which is no exact number in JavaScript`);
  return value;
}

class UnsafeIntegerError extends RangeError {}

function guard(client: pg.PoolClient): PostgresPoolClient {
  let broken = false;
  const query: PostgresQuery = async (sql, parameters) => {
    try {
      return await queryOn(client, sql, parameters);
    } catch (error) {
      broken ||= error instanceof DatabaseError || (error instanceof pg.DatabaseError && connectionLost.test(error.code ?? ""));
      throw error;
    }
  };
  return {
    query: query as unknown as PostgresPoolClient["query"],
    release: (destroy) => client.release(destroy === true || broken),
  };
}

/** What the server did not say itself, the connection did: refused, reset, closed, too slow. */
function toDatabaseError(error: unknown): unknown {
  if (error instanceof pg.DatabaseError || error instanceof DatabaseError || error instanceof UnsafeIntegerError) return error;
  if (!(error instanceof Error)) return error;
  // Several addresses that all refuse make an AggregateError without a message.
  const detail = error.message || ("code" in error ? String(error.code) : error.name);
  return new DatabaseError("unavailable", `PostgreSQL cannot be reached: ${detail}`, error);
}
