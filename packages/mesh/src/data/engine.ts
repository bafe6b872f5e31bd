import type { Kysely } from "kysely";
import type { DatabaseFailure } from "./database-failure.ts";

/** A database engine, opened for one service: the seam that SQLite and PostgreSQL fill. */
export interface Engine {
  readonly name: "sqlite" | "postgres";
  /** For queries outside of a transaction. Reads what is committed; on SQLite it cannot write. */
  readonly reader: Kysely<unknown>;
  /** For transactions. */
  readonly writer: Kysely<unknown>;
  /** Runs `work` with a connection of its own while no other process does the same. */
  alone(work: (db: Kysely<unknown>) => Promise<void>): Promise<void>;
  classify(error: unknown): DatabaseFailure;
  close(): Promise<void>;
}
