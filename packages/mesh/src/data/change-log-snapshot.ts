import { sql } from "kysely";
import type { ReadonlyKysely } from "kysely/readonly";
import type { Clock } from "../base/clock.ts";
import { logStart } from "./change.ts";
import type { LogPosition } from "./change.ts";
import { sequenceExactly } from "./change-log-sequencer.ts";
import { DatabaseError } from "./database-failure.ts";
import type { Database } from "./database.ts";
import { meshReader } from "./mesh-tables.ts";
import { createSnapshotSpool } from "./snapshot-spool.ts";
import { createTurnstile } from "./turnstile.ts";

/** Reads the rows of a snapshot, a page at a time, from the view alone. */
export type ReadRows<Tables> = (view: ReadonlyKysely<Tables>) => AsyncIterable<Uint8Array>;

/** Everything as it was at a position. Disposing it forgets the rows. */
export interface LogSnapshot extends AsyncDisposable {
  readonly position: LogPosition;
  /** Once, at the reader's pace. */
  rows(): AsyncIterable<Uint8Array>;
}

/** Longest wait for the snapshots that are being read before, in ms. */
const queueMs = 30_000;

/** Takes the snapshots of one log, one at a time: each reads a whole table, and two would only share the same disk. */
export function createSnapshots<Tables>(
  database: Database<Tables>,
  clock: Clock,
): (read: ReadRows<Tables>, signal: AbortSignal) => Promise<LogSnapshot> {
  const turnstile = createTurnstile(clock, {
    waitMs: queueMs,
    tooLate: () => new DatabaseError("busy", `no turn to take a snapshot within ${queueMs} ms`),
  });
  return async (read, signal) => {
    await turnstile.enter();
    try {
      signal.throwIfAborted();
      return await take(database, read, signal);
    } finally {
      turnstile.leave();
    }
  };
}

async function take<Tables>(database: Database<Tables>, read: ReadRows<Tables>, signal: AbortSignal): Promise<LogSnapshot> {
  const spool = createSnapshotSpool();
  try {
    const position = await database.view(async (view) => {
      const taken = await fixPosition(database, view);
      for await (const row of read(view)) {
        signal.throwIfAborted();
        await spool.add(row);
      }
      return taken;
    });
    return { position, rows: () => spool.rows(), [Symbol.asyncDispose]: async () => await spool[Symbol.asyncDispose]() };
  } catch (error) {
    await spool[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * The position of the last change that a view contains; the view has made no query yet. On PostgreSQL the view may contain
 * changes that have no position, and others may get one before those. So nobody gives any while the view makes its first
 * query, and then exactly those that it sees get theirs: what comes behind is what it does not contain.
 */
async function fixPosition<Tables>(database: Database<Tables>, view: ReadonlyKysely<Tables>): Promise<LogPosition> {
  const db = meshReader(view);
  const readLast = async (): Promise<LogPosition> => {
    const last = sql<LogPosition>`select pos, event_id as "eventId" from mesh_outbox where pos is not null
      order by pos desc limit 1`;
    return (await last.execute(db)).rows[0] ?? logStart;
  };
  if (database.peers === undefined) return await readLast();
  let lastPending: string | undefined;
  const pos = await sequenceExactly(database, async () => {
    const pending = await db
      .selectFrom("mesh_outbox")
      .select(["seq", "event_id"])
      .where("pos", "is", null)
      .orderBy("seq")
      .execute();
    lastPending = pending.at(-1)?.event_id;
    return pending.map(({ seq }) => seq);
  });
  return lastPending === undefined ? await readLast() : { pos, eventId: lastPending };
}
