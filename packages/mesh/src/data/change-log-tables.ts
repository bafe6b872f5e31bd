import { sql } from "kysely";
import type { Generated } from "kysely";
import type { Engine } from "./engine.ts";
import type { Migration } from "./migration.ts";

/** The tables of the change log, as the queries see them. They are the transactional outbox of the service as well. */
export interface ChangeLogTables {
  readonly mesh_outbox: {
    /** In the order in which the changes were written, with gaps. */
    readonly seq: Generated<number>;
    /** In the order in which they can be read, from 1, without a gap. NULL on PostgreSQL until the sequencer gives it. */
    readonly pos: Generated<number | null>;
    readonly event_id: string;
    readonly type: string;
    readonly agg_type: string;
    readonly agg_id: string;
    readonly agg_version: number;
    readonly payload: Uint8Array;
    readonly trace: string | null;
    readonly at_ms: number;
  };
  /** The highest `pos` given; one row; on PostgreSQL alone. */
  readonly mesh_outbox_ctr: { readonly id: number; readonly v: number };
}

/**
 * The step that makes them. On SQLite, where one transaction commits after the other, `pos` is `seq`: numbers of a
 * transaction that was rolled back are given again, and those of rows that were removed are not.
 */
export function changeLogMigration(engine: Engine["name"]): Migration {
  return async (db, { text, bytes }) => {
    const [seq, pos] =
      engine === "postgres"
        ? [sql`bigint generated always as identity primary key`, sql`bigint unique`]
        : [sql`integer primary key autoincrement`, sql`bigint generated always as (seq) virtual unique`];
    await sql`create table mesh_outbox (
      seq ${seq},
      pos ${pos},
      event_id ${text} not null unique,
      type ${text} not null,
      agg_type ${text} not null,
      agg_id ${text} not null,
      agg_version bigint not null,
      payload ${bytes} not null,
      trace ${text},
      at_ms bigint not null
    )`.execute(db);
    if (engine === "sqlite") return;
    await sql`create index mesh_outbox_pending on mesh_outbox (seq) where pos is null`.execute(db);
    await sql`create table mesh_outbox_ctr (id bigint primary key, v bigint not null)`.execute(db);
    await sql`insert into mesh_outbox_ctr (id, v) values (1, 0)`.execute(db);
  };
}
