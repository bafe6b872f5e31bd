import type { Kysely, Transaction } from "kysely";
import type { ReadonlyKysely } from "kysely/readonly";
import { changeLogMigration } from "./change-log-tables.ts";
import type { ChangeLogTables } from "./change-log-tables.ts";
import type { Engine } from "./engine.ts";
import type { Migrations } from "./migration.ts";

/** The mesh's own tables, beside those of the service. */
export interface MeshTables extends ChangeLogTables {
  readonly mesh_idempotency: {
    readonly principal: string;
    readonly method: string;
    readonly key: string;
    readonly request_hash: string;
    /** Bytes of the answer; NULL while the call runs, which nobody else sees. */
    readonly response: Uint8Array | null;
    readonly expires_ms: number;
  };
  readonly mesh_secret: { readonly name: string; readonly value: string };
}

/** A transaction of a service, for the mesh's own tables. */
export function meshTables<Tables>(trx: Transaction<Tables>): Transaction<MeshTables> {
  return trx as unknown as Transaction<MeshTables>;
}

/** What reads a service's database, or one view of it, for the mesh's own tables. Only queries that read. */
export function meshReader<Tables>(reader: ReadonlyKysely<Tables>): Kysely<MeshTables> {
  return reader as unknown as Kysely<MeshTables>;
}

/** The steps that make them on an engine. */
export function meshMigrations(engine: Engine["name"]): Migrations {
  return { ...sameOnBoth, "0003_change_log": changeLogMigration(engine) };
}

const sameOnBoth: Migrations = {
  "0001_idempotency": async (db, { text, bytes }) => {
    await db.schema
      .createTable("mesh_idempotency")
      .addColumn("principal", text, (column) => column.notNull())
      .addColumn("method", text, (column) => column.notNull())
      .addColumn("key", text, (column) => column.notNull())
      .addColumn("request_hash", text, (column) => column.notNull())
      .addColumn("response", bytes)
      .addColumn("expires_ms", "bigint", (column) => column.notNull())
      .addPrimaryKeyConstraint("mesh_idempotency_pkey", ["principal", "method", "key"])
      .execute();
    await db.schema.createIndex("mesh_idempotency_expires_ms").on("mesh_idempotency").column("expires_ms").execute();
  },
  "0002_secret": async (db, { text }) => {
    await db.schema
      .createTable("mesh_secret")
      .addColumn("name", text, (column) => column.primaryKey().notNull())
      .addColumn("value", text, (column) => column.notNull())
      .execute();
  },
};
