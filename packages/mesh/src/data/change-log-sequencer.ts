import { sql } from "kysely";
import type { RawBuilder } from "kysely";
import type { Database } from "./database.ts";
import { meshReader, meshTables } from "./mesh-tables.ts";

/** First half of the advisory lock of the leader; the second is the hash of the schema. */
const leaderLock = 0x6f757462;

/** Most changes that get their position at once. */
const batchSize = 500;

const lockKeys = sql`${sql.lit(leaderLock)}, hashtext(current_schema())`;

/** How far the log goes. */
export interface LogHead {
  /** The highest position that can be read. */
  readonly pos: number;
  /** How many changes have just got their position. */
  readonly sequenced: number;
  /** True: more changes may wait for theirs. */
  readonly again: boolean;
}

/** Finds how far the log can be read. On PostgreSQL this is where changes get their position. */
export async function advanceHead<Tables>(database: Database<Tables>): Promise<LogHead> {
  return database.peers === undefined ? await readHead(database) : await sequence(database);
}

async function readHead<Tables>(database: Database<Tables>): Promise<LogHead> {
  const query = sql<{ head: number | null }>`select max(pos) as head from mesh_outbox`;
  const { rows } = await query.execute(meshReader(database.read));
  return { pos: rows[0]?.head ?? 0, sequenced: 0, again: false };
}

/**
 * Gives a position to changes that are committed and have none, in the order of `seq`. The order of `seq` alone is not that
 * of the commits: a reader with `seq > ?` has gone past a number before its transaction commits, and loses it (698 to 749 of
 * 4,000, measured). Changes of one resource keep their order, for the second waits for the commit of the first before it
 * writes. One statement, and so one transaction: a process that is stopped in the middle holds no lock.
 *
 * One leader at a time does it, whoever gets the lock. A statement that began before the last leader committed still sees
 * the old rows, but it reads them again when it locks them, and passes over those that have a position.
 */
async function sequence<Tables>(database: Database<Tables>): Promise<LogHead> {
  const pending = sql`select seq from mesh_outbox where pos is null and (select got from leader)
    order by seq limit ${sql.lit(batchSize)} for update`;
  const query = sql<{ got: boolean; count: number; head: number }>`
    with leader as materialized (select pg_try_advisory_xact_lock(${lockKeys}) as got), ${assignment(pending)}
    select (select got from leader) as got, (select count(*) from assigned) as count,
      coalesce((select v from counter), (select v from mesh_outbox_ctr)) as head`;
  const { rows } = await query.execute(meshReader(database.read));
  const { got = false, count = 0, head = 0 } = rows[0] ?? {};
  return { pos: head, sequenced: count, again: !got || count === batchSize };
}

/**
 * Gives a position to exactly the changes that `readPending` finds, while nobody else gives any, and gives the highest
 * position. The transaction is the leader until it ends. It is run once: what was found would be others' at a second time.
 */
export async function sequenceExactly<Tables>(
  database: Database<Tables>,
  readPending: () => Promise<readonly number[]>,
): Promise<number> {
  let failure: Error | undefined;
  return await database.transaction(async (trx) => {
    if (failure !== undefined) throw failure;
    failure = new Error("the changes of a snapshot got no position");
    try {
      const db = meshTables(trx);
      await sql`select pg_advisory_xact_lock(${lockKeys})`.execute(db);
      const seqs = await readPending();
      for (let from = 0; from < seqs.length; from += batchSize) {
        const some = sql.join(seqs.slice(from, from + batchSize));
        const pending = sql`select seq from mesh_outbox where pos is null and seq in (${some}) for update`;
        await sql`with ${assignment(pending)} select count(*) from assigned`.execute(db);
      }
      return (await db.selectFrom("mesh_outbox_ctr").select("v").executeTakeFirstOrThrow()).v;
    } catch (error) {
      failure = error as Error;
      throw error;
    }
  });
}

/** Common table expressions that number the rows of `pending` on from the counter: `counter` has its new value. */
function assignment(pending: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`pending as materialized (${pending}),
    counter as (
      update mesh_outbox_ctr set v = v + (select count(*) from pending) where exists (select 1 from pending) returning v
    ),
    numbered as (
      select seq, (select v from counter) - (select count(*) from pending) + row_number() over (order by seq) as pos from pending
    ),
    assigned as (update mesh_outbox set pos = numbered.pos from numbered where mesh_outbox.seq = numbered.seq returning 1)`;
}
