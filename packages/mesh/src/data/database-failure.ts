/**
 * What kind of failure a database reports, in words that hold for both engines.
 * - `unique`: a unique constraint refused a row. `constraint` is the name that PostgreSQL gives by default:
 *   `<table>_<columns>_key`, or `<table>_pkey`. On PostgreSQL the transaction is lost: never catch it and go on inside.
 * - `conflict`: a serialization failure or a deadlock. Nothing was committed; the transaction may run again.
 * - `busy`: a lock, a statement or the queue for a connection took longer than its limit. Nothing was committed.
 * - `unavailable`: no connection, or it broke. Whether a commit that was under way took place is unknown.
 * - `other`: a fault of the program.
 */
export type DatabaseFailure =
  | { readonly kind: "unique"; readonly constraint: string }
  | { readonly kind: "conflict" }
  | { readonly kind: "busy" }
  | { readonly kind: "unavailable" }
  | { readonly kind: "other" };

/** Thrown where the driver has no code of its own: no connection, a connection that broke, a queue that took too long. */
export class DatabaseError extends Error {
  readonly failure: DatabaseFailure;

  constructor(kind: "busy" | "unavailable", message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "DatabaseError";
    this.failure = { kind };
  }
}

/** Classifies an error of node:sqlite by its extended result code (https://www.sqlite.org/rescode.html). */
export function classifySqlite(error: unknown): DatabaseFailure {
  if (error instanceof DatabaseError) return error.failure;
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return { kind: "other" };
  switch (error.errcode) {
    case sqliteCode.constraintPrimaryKey:
    case sqliteCode.constraintUnique:
      return { kind: "unique", constraint: constraintName(error.message, error.errcode === sqliteCode.constraintPrimaryKey) };
    case sqliteCode.busySnapshot:
      return { kind: "conflict" };
    default:
  }
  // The low byte is the primary code, the rest says more about it.
  switch (error.errcode & 0xff) {
    case sqliteCode.busy:
    case sqliteCode.locked:
      return { kind: "busy" };
    case sqliteCode.readOnly:
    case sqliteCode.ioError:
    case sqliteCode.full:
    case sqliteCode.cannotOpen:
      return { kind: "unavailable" };
    default:
      return { kind: "other" };
  }
}

const sqliteCode = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  full: 13,
  cannotOpen: 14,
  busySnapshot: 517,
  constraintPrimaryKey: 1555,
  constraintUnique: 2067,
} as const;

/** `UNIQUE constraint failed: users.email_key` names columns; PostgreSQL would call the constraint `users_email_key_key`. */
function constraintName(message: string, isPrimaryKey: boolean): string {
  const columns = /: (.+)$/.exec(message)?.[1]?.split(", ") ?? [];
  const table = columns[0]?.split(".")[0] ?? "";
  return isPrimaryKey ? `${table}_pkey` : `${table}_${columns.map((column) => column.slice(table.length + 1)).join("_")}_key`;
}

/** Classifies an error of PostgreSQL by its SQLSTATE (PostgreSQL documentation, appendix A). */
export function classifyPostgres(error: unknown): DatabaseFailure {
  if (error instanceof DatabaseError) return error.failure;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return { kind: "other" };
  const { code } = error;
  switch (code) {
    case "23505":
      return {
        kind: "unique",
        constraint: "constraint" in error && typeof error.constraint === "string" ? error.constraint : "",
      };
    case "40001": // serialization_failure
    case "40P01": // deadlock_detected
      return { kind: "conflict" };
    case "55P03": // lock_not_available
    case "57014": // query_canceled: statement_timeout
    case "25P03": // idle_in_transaction_session_timeout
      return { kind: "busy" };
    case "25006": // read_only_sql_transaction: a server that is no longer the primary
      return { kind: "unavailable" };
    default:
      // 08 connection, 53 resources (too many connections, disk full), 57P shutdown and start-up, 58 system errors.
      return { kind: /^(?:08|53|57P|58)/.test(code) ? "unavailable" : "other" };
  }
}
