import type { Kysely } from "kysely";
import type { DatabaseFailure } from "./database-failure.ts";
import type { Peers } from "./peers.ts";

/** A database engine, opened for one service: the seam that SQLite and PostgreSQL fill. */
export interface Engine {
  readonly name: "sqlite" | "postgres";
  /** For queries outside of a transaction. Reads what is committed; on SQLite it cannot write. */
  readonly reader: Kysely<unknown>;
  /** For transactions. */
  readonly writer: Kysely<unknown>;
  /** Runs `work` with a connection of its own while no other process does the same. */
  alone(work: (db: Kysely<unknown>) => Promise<void>): Promise<void>;
  /** Runs `work` over one view of what is committed when it makes its first query. It cannot write. */
  view<T>(work: (db: Kysely<unknown>) => Promise<T>): Promise<T>;
  /** The other processes on the same database; undefined where there can be none. */
  readonly peers: Peers | undefined;
  classify(error: unknown): DatabaseFailure;
  close(): Promise<void>;
}
