import type { Migrations } from "@protoloom/mesh/data";

/** The tables of the service, as the queries see them. */
export interface ProductTables {
  readonly products: {
    readonly id: string;
    readonly name: string;
    readonly description: string;
    readonly category: string;
    readonly currency: string;
    readonly price_minor: number;
    /** `searchText` of name and description. */
    readonly search_text: string;
    readonly create_ms: number;
    readonly update_ms: number;
    readonly version: number;
  };
}

/** The steps that make them. */
export const productMigrations: Migrations = {
  "0001_products": async (db, { text }) => {
    await db.schema
      .createTable("products")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .addColumn("name", text, (column) => column.notNull())
      .addColumn("description", text, (column) => column.notNull())
      .addColumn("category", text, (column) => column.notNull())
      .addColumn("currency", text, (column) => column.notNull())
      .addColumn("price_minor", "bigint", (column) => column.notNull())
      .addColumn("search_text", text, (column) => column.notNull())
      .addColumn("create_ms", "bigint", (column) => column.notNull())
      .addColumn("update_ms", "bigint", (column) => column.notNull())
      .addColumn("version", "bigint", (column) => column.notNull())
      .execute();
    // One for each order of ListProducts, and one for each filter that an index can serve. Text is searched row by row.
    for (const column of ["create_ms", "update_ms", "name"]) {
      await db.schema.createIndex(`products_${column}`).on("products").columns([column, "id"]).execute();
    }
    await db.schema.createIndex("products_category").on("products").columns(["category", "create_ms", "id"]).execute();
    await db.schema.createIndex("products_price").on("products").columns(["currency", "price_minor", "id"]).execute();
  },
};
