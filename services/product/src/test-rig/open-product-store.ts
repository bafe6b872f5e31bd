import { silentLogger } from "@protoloom/mesh";
import type { Clock } from "@protoloom/mesh";
import { createPageTokens, newId, openDatabase } from "@protoloom/mesh/data";
import type { Database } from "@protoloom/mesh/data";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import { productMigrations } from "../store/migrations.ts";
import type { ProductTables } from "../store/migrations.ts";
import { createProductStore } from "../store/product-store.ts";
import type { ProductStore } from "../store/product-store.ts";

/** The products of a place without a service around them; what happens to them is recorded nowhere. */
export async function openProductStore(
  place: Pick<DatabasePlace, "name" | "url" | "dataDir">,
  resources: AsyncDisposableStack,
  clock: Clock,
): Promise<{ readonly database: Database<ProductTables>; readonly store: ProductStore }> {
  const database = resources.use(
    await openDatabase<ProductTables>({ ...place, migrations: productMigrations, logger: silentLogger }),
  );
  const tokens = await createPageTokens(database, { domain: "product.v1" });
  return { database, store: createProductStore({ database, tokens, clock, newId, record: async () => {} }) };
}
