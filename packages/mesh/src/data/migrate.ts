import { sql } from "kysely";
import type { Kysely } from "kysely";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Engine } from "./engine.ts";
import { meshMigrations } from "./mesh-tables.ts";
import type { ColumnTypes, Migration, Migrations } from "./migration.ts";

interface MigrationTables {
  readonly mesh_migration: { readonly name: string; readonly applied_ms: number };
}

/**
 * Brings the schema up to date: the mesh's own tables, then those of the service. Instances that start at once wait for each
 * other. Forward only; a step that this program does not know, since a newer instance made it, is left alone, so that an
 * older instance can still start beside a newer one.
 */
export async function migrate(
  engine: Engine,
  migrations: Migrations,
  { clock, logger }: { clock: Clock; logger: Logger },
): Promise<void> {
  const types: ColumnTypes = {
    text: engine.name === "postgres" ? sql`text collate "C"` : sql`text`,
    bytes: engine.name === "postgres" ? sql`bytea` : sql`blob`,
  };
  const steps = [...inOrder(meshMigrations(engine.name), "mesh/"), ...inOrder(migrations, "")];
  await engine.alone(async (connection) => {
    const db = connection as Kysely<unknown> as Kysely<MigrationTables>;
    await db.schema
      .createTable("mesh_migration")
      .ifNotExists()
      .addColumn("name", types.text, (column) => column.primaryKey().notNull())
      .addColumn("applied_ms", "bigint", (column) => column.notNull())
      .execute();
    const applied = new Set((await db.selectFrom("mesh_migration").select("name").execute()).map(({ name }) => name));
    for (const [name, step] of steps) {
      if (applied.has(name)) continue;
      await db.transaction().execute(async (trx) => {
        await step(trx as unknown as Kysely<unknown>, types);
        await trx.insertInto("mesh_migration").values({ name, applied_ms: clock.now() }).execute();
      });
      logger.info({ migration: name }, "the schema took a step");
    }
  });
}

function inOrder(migrations: Migrations, prefix: string): readonly (readonly [string, Migration])[] {
  // By code units, which no locale changes.
  const names = Object.keys(migrations).toSorted((a, b) => (a < b ? -1 : 1));
  return names.map((name) => [prefix + name, migrations[name] as Migration]);
}
