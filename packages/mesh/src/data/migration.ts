import type { Kysely, RawBuilder } from "kysely";

/** Types of columns that behave alike on both engines. Integers are `bigint`: up to 2^53 they read back as numbers. */
export interface ColumnTypes {
  /** Text that is ordered and compared by its bytes in UTF-8. */
  readonly text: RawBuilder<unknown>;
  readonly bytes: RawBuilder<unknown>;
}

/** One step forward. It runs once, in a transaction, while no other instance migrates. */
export type Migration = (db: Kysely<unknown>, types: ColumnTypes) => Promise<void>;

/** Steps by name, such as `0001_users`: they run in the order of their names, and a step never changes once released. */
export type Migrations = Readonly<Record<string, Migration>>;
