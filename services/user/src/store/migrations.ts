import type { Migrations } from "@protoloom/mesh/data";

/** The tables of the service, as the queries see them. */
export interface UserTables {
  readonly users: {
    readonly id: string;
    readonly name: string;
    /** As it was written. */
    readonly email: string;
    /** As it is compared: `emailKey`. */
    readonly email_key: string;
    readonly create_ms: number;
    readonly update_ms: number;
    readonly version: number;
  };
}

/** The steps that make them. */
export const userMigrations: Migrations = {
  "0001_users": async (db, { text }) => {
    await db.schema
      .createTable("users")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .addColumn("name", text, (column) => column.notNull())
      .addColumn("email", text, (column) => column.notNull())
      .addColumn("email_key", text, (column) => column.notNull().unique())
      .addColumn("create_ms", "bigint", (column) => column.notNull())
      .addColumn("update_ms", "bigint", (column) => column.notNull())
      .addColumn("version", "bigint", (column) => column.notNull())
      .execute();
    // One for each order of ListUsers; the unique constraint of email_key is one as well.
    for (const column of ["create_ms", "update_ms", "name"]) {
      await db.schema.createIndex(`users_${column}`).on("users").columns([column, "id"]).execute();
    }
  },
};
