/**
 * Writes items and their changes until it is killed: `node write-until-killed.ts <name> <dataDir> [<url>]`. Prints the id of
 * each item whose commit was acknowledged, a line each.
 */
import { writeSync } from "node:fs";
import { silentLogger } from "../../base/logger.ts";
import { createChangeLog } from "../change-log.ts";
import { openDatabase } from "../database.ts";
import type { Migrations } from "../migration.ts";
import { newId } from "../new-id.ts";

/** The table that is written. */
export interface WrittenTables {
  readonly item: { readonly id: string };
}

/** The step that makes it. */
export const writtenMigrations: Migrations = {
  "0001_item": async (db, { text }) => {
    await db.schema
      .createTable("item")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .execute();
  },
};

async function write(name: string, dataDir: string, url: string | undefined): Promise<void> {
  const database = await openDatabase<WrittenTables>({ name, dataDir, url, migrations: writtenMigrations, logger: silentLogger });
  const log = await createChangeLog(database, { domain: "user.v1", logger: silentLogger });
  const writer = async (): Promise<never> => {
    for (;;) {
      const id = newId();
      await database.transaction(async (trx) => {
        await trx.insertInto("item").values({ id }).execute();
        const change = { type: "created", aggregateType: "test.Item", aggregateId: id, aggregateVersion: 1 };
        await log.append(trx, { ...change, payload: Buffer.from(id) });
      });
      writeSync(1, `${id}\n`);
    }
  };
  await Promise.all([writer(), writer(), writer(), writer()]);
}

if (import.meta.main) {
  const [name = "", dataDir = "", url] = process.argv.slice(2);
  await write(name, dataDir, url);
}
