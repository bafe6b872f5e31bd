import { sql } from "kysely";
import type { Selectable } from "kysely";
import type { Change, LogPosition } from "./change.ts";
import { expired, markOf } from "./change-log-token.ts";
import type { TokenContent } from "./change-log-token.ts";
import type { Database } from "./database.ts";
import { meshReader } from "./mesh-tables.ts";
import type { MeshTables } from "./mesh-tables.ts";

/** Most changes in a batch: what one follower keeps in memory. */
const batchSize = 128;

/** Reads what lies in the log. */
export interface ChangeReader {
  /** The next changes behind `pos`, in a log that goes to `head`. Throws RESUME_TOKEN_EXPIRED when the first is gone. */
  read(pos: number, head: number): Promise<readonly Change[]>;
  floor(): Promise<number>;
  /** The position that a token means. Throws RESUME_TOKEN_EXPIRED when its change is not there. */
  find(content: TokenContent): Promise<LogPosition>;
}

/** Reads a log; followers that stand at the same position, as most do, share one query. */
export function createChangeReader<Tables>(database: Database<Tables>, { domain }: { readonly domain: string }): ChangeReader {
  const db = meshReader(database.read);
  const reading = new Map<string, Promise<readonly Change[]>>();

  const query = async (pos: number): Promise<readonly Change[]> => {
    const rows = await db.selectFrom("mesh_outbox").selectAll().where("pos", ">", pos).orderBy("pos").limit(batchSize).execute();
    // Positions have no gap: one that is missing has been removed, and a reader is told so instead of led past it.
    if (rows.length === 0 || rows.some((row, index) => row.pos !== pos + 1 + index)) {
      throw expired(`the change behind position ${pos} is not kept any more`, domain);
    }
    return rows.map(fromRow);
  };
  const floor = async (): Promise<number> =>
    (await sql<{ floor: number | null }>`select min(pos) as floor from mesh_outbox`.execute(db)).rows[0]?.floor ?? 0;
  return {
    async read(pos, head) {
      const key = `${pos} ${head}`;
      let found = reading.get(key);
      if (found === undefined) {
        found = query(pos).finally(() => reading.delete(key));
        reading.set(key, found);
      }
      return await found;
    },
    floor,
    async find({ pos, mark }) {
      if (pos === 0) {
        if ((await floor()) <= 1) return { pos, eventId: "" };
      } else {
        const row = await db.selectFrom("mesh_outbox").select("event_id").where("pos", "=", pos).executeTakeFirst();
        if (row !== undefined && markOf(row.event_id).equals(mark)) return { pos, eventId: row.event_id };
      }
      throw expired("the change of the resume_token is not kept any more", domain);
    },
  };
}

function fromRow(row: Selectable<MeshTables["mesh_outbox"]>): Change {
  return {
    pos: row.pos ?? 0,
    eventId: row.event_id,
    type: row.type,
    aggregateType: row.agg_type,
    aggregateId: row.agg_id,
    aggregateVersion: row.agg_version,
    // An empty message may read back as NULL.
    payload: row.payload ?? new Uint8Array(),
    trace: row.trace ?? undefined,
    atMs: row.at_ms,
  };
}
