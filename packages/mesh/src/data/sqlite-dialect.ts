import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { CompiledQuery, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from "kysely";
import type { DatabaseConnection, Dialect, Driver, QueryResult } from "kysely";
import { checkParameter } from "./parameter.ts";

/** Prepared statements that are kept for one connection. Lists of several lengths make several statements. */
const maxStatements = 200;

/** Gives a connection to one user at a time, or to all at once. */
export interface ConnectionTurn {
  /** Resolves when the connection may be used. */
  take(): Promise<void> | void;
  give(): void;
}

/**
 * Kysely over one connection of node:sqlite. It differs from Kysely's own dialect where it matters: transactions are BEGIN
 * IMMEDIATE (a deferred one fails when it first writes, SQLITE_BUSY_SNAPSHOT), statements are prepared once, booleans are
 * stored as 1 and 0, and what PostgreSQL would refuse is refused.
 */
export function createSqliteDialect(database: DatabaseSync, turn: ConnectionTurn): Dialect {
  return {
    createAdapter: () => new OwnAdapter(),
    createDriver: () => createDriver(database, turn),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** SQLite has transactional DDL, and who may use the connection when is the turn's business, not Kysely's. */
class OwnAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function createDriver(database: DatabaseSync, turn: ConnectionTurn): Driver {
  const connection = createConnection(database);
  const run = async (sql: string): Promise<void> => {
    await connection.executeQuery(CompiledQuery.raw(sql));
  };
  return {
    init: async () => {},
    async acquireConnection() {
      await turn.take();
      return connection;
    },
    releaseConnection: async () => turn.give(),
    beginTransaction: async () => await run("begin immediate"),
    commitTransaction: async () => await run("commit"),
    async rollbackTransaction() {
      // A full disk or a failed write has rolled back already.
      if (database.isTransaction) await run("rollback");
    },
    destroy: async () => database.close(),
  };
}

interface Prepared {
  readonly statement: StatementSync;
  readonly givesRows: boolean;
}

function createConnection(database: DatabaseSync): DatabaseConnection {
  // A Map keeps the order of insertion: the first key is the one that was not used for longest.
  const statements = new Map<string, Prepared>();
  const prepare = (sql: string): Prepared => {
    let prepared = statements.get(sql);
    if (prepared === undefined) {
      const statement = database.prepare(sql);
      prepared = { statement, givesRows: statement.columns().length > 0 };
      const [oldest] = statements.keys();
      if (statements.size >= maxStatements && oldest !== undefined) statements.delete(oldest);
    } else statements.delete(sql);
    statements.set(sql, prepared);
    return prepared;
  };
  return {
    async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      const { statement, givesRows } = prepare(sql);
      const values = parameters.map(toSqlite);
      if (givesRows) return { rows: statement.all(...values) as Row[] };
      const { changes, lastInsertRowid } = statement.run(...values);
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
    },
    streamQuery() {
      throw new Error("a query on SQLite is not streamed: read it a page at a time");
    },
  };
}

function toSqlite(value: unknown): SQLInputValue {
  const parameter = checkParameter(value);
  return typeof parameter === "boolean" ? Number(parameter) : parameter;
}
