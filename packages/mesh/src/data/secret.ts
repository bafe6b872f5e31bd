import { randomBytes } from "node:crypto";
import type { Database } from "./database.ts";
import { meshTables } from "./mesh-tables.ts";

/**
 * Random bytes that lie in the service's own database under a name: made once, shared by all its instances, and as
 * long-lived as its rows.
 */
export async function readSecret<Tables>(database: Database<Tables>, name: string, byteCount: number): Promise<Buffer> {
  const value = await database.transaction(async (trx) => {
    const db = meshTables(trx);
    await db
      .insertInto("mesh_secret")
      .values({ name, value: randomBytes(byteCount).toString("base64url") })
      .onConflict((conflict) => conflict.column("name").doNothing())
      .execute();
    return (await db.selectFrom("mesh_secret").select("value").where("name", "=", name).executeTakeFirstOrThrow()).value;
  });
  return Buffer.from(value, "base64url");
}
