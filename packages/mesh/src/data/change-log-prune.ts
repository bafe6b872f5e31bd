import { sql } from "kysely";
import type { Database } from "./database.ts";
import { meshReader, meshTables } from "./mesh-tables.ts";

/** Most changes that one statement removes. */
const batchSize = 500;

/**
 * Removes the changes that were written before a time, in ms since 1970: a beginning of the log, so that what is left has
 * no gap, whatever the clocks of several instances say. The last change always stays: a reader who has seen everything can
 * go on from it, however quiet the log has been.
 */
export async function pruneChanges<Tables>(database: Database<Tables>, beforeMs: number): Promise<void> {
  const bounds = sql<{ first: number | null; kept: number | null; last: number | null }>`select
    (select min(pos) from mesh_outbox) as first,
    (select pos from mesh_outbox where pos is not null and at_ms >= ${beforeMs} order by pos limit 1) as kept,
    (select max(pos) from mesh_outbox) as last`;
  const { first, kept, last } = (await bounds.execute(meshReader(database.read))).rows[0] ?? {};
  if (typeof first !== "number" || typeof last !== "number") return;
  const end = kept ?? last;
  for (let from = first; from < end; from += batchSize) {
    await database.transaction(
      async (trx) =>
        await meshTables(trx)
          .deleteFrom("mesh_outbox")
          .where("pos", "<", Math.min(end, from + batchSize))
          .execute(),
    );
  }
}
