import type { Migrations } from "@protoloom/mesh/data";
import { sql } from "kysely";
import type { ReservationState } from "../domain/reservation.ts";

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
  /** One row a product that was ever adjusted. `reserved` is the sum of its lines that are held. */
  readonly stock: {
    readonly product_id: string;
    readonly on_hand: number;
    readonly reserved: number;
    readonly update_ms: number;
  };
  /** Every change of `on_hand`, so that their sum is what is there. */
  readonly stock_ledger: {
    readonly product_id: string;
    readonly id: string;
    readonly delta: number;
    /** `on_hand` after it. */
    readonly on_hand: number;
    /** What the caller gave as the reason; empty for a reservation that was committed. */
    readonly reason: string;
    /** The reservation that was committed, or empty. */
    readonly reservation_id: string;
    readonly at_ms: number;
  };
  readonly reservations: {
    readonly id: string;
    /** A reservation that is `held` past `expire_ms` has expired, though nobody has noted it yet. */
    readonly state: ReservationState;
    readonly create_ms: number;
    readonly expire_ms: number;
  };
  readonly reservation_lines: {
    readonly reservation_id: string;
    /** Place in the request, from 0. */
    readonly position: number;
    readonly product_id: string;
    readonly quantity: number;
    /** `expire_ms` of the reservation; NULL once the line is no longer part of `stock.reserved`. */
    readonly held_until_ms: number | null;
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
  "0002_inventory": async (db, { text }) => {
    await db.schema
      .createTable("stock")
      .addColumn("product_id", text, (column) => column.primaryKey().notNull())
      .addColumn("on_hand", "bigint", (column) => column.notNull())
      .addColumn("reserved", "bigint", (column) => column.notNull())
      .addColumn("update_ms", "bigint", (column) => column.notNull())
      // The statements guard this themselves: what breaks it is a fault of the program.
      .addCheckConstraint("stock_in_bounds", sql`reserved >= 0 and on_hand >= reserved`)
      .execute();
    await db.schema
      .createTable("stock_ledger")
      .addColumn("product_id", text, (column) => column.notNull())
      .addColumn("id", text, (column) => column.notNull())
      .addColumn("delta", "bigint", (column) => column.notNull())
      .addColumn("on_hand", "bigint", (column) => column.notNull())
      .addColumn("reason", text, (column) => column.notNull())
      .addColumn("reservation_id", text, (column) => column.notNull())
      .addColumn("at_ms", "bigint", (column) => column.notNull())
      .addPrimaryKeyConstraint("stock_ledger_pkey", ["product_id", "id"])
      .execute();
    await db.schema
      .createTable("reservations")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .addColumn("state", text, (column) => column.notNull())
      .addColumn("create_ms", "bigint", (column) => column.notNull())
      .addColumn("expire_ms", "bigint", (column) => column.notNull())
      .execute();
    await db.schema
      .createTable("reservation_lines")
      .addColumn("reservation_id", text, (column) => column.notNull())
      .addColumn("position", "bigint", (column) => column.notNull())
      .addColumn("product_id", text, (column) => column.notNull())
      .addColumn("quantity", "bigint", (column) => column.notNull())
      .addColumn("held_until_ms", "bigint")
      .addPrimaryKeyConstraint("reservation_lines_pkey", ["reservation_id", "position"])
      .execute();
    // For ListReservations by state; for the sweep; for what has expired of a product; for ListReservations by product.
    for (const [table, ...columns] of [
      ["reservations", "state", "id"],
      ["reservations", "state", "expire_ms"],
      ["reservation_lines", "product_id", "held_until_ms"],
      ["reservation_lines", "product_id", "reservation_id"],
    ] as const) {
      await db.schema
        .createIndex([table, ...columns].join("_"))
        .on(table)
        .columns([...columns])
        .execute();
    }
  },
};
