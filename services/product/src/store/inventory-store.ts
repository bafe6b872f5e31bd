import type { Clock } from "@protoloom/mesh";
import { isId } from "@protoloom/mesh/data";
import type { Database } from "@protoloom/mesh/data";
import { sql } from "kysely";
import type { RawBuilder, Selectable, Transaction } from "kysely";
import { InventoryError } from "../domain/inventory-error.ts";
import type { Price } from "../domain/price.ts";
import { available } from "../domain/stock.ts";
import type { Stock } from "../domain/stock.ts";
import type { ProductTables } from "./migrations.ts";
import { createStockRows } from "./stock-rows.ts";

/** What one product costs, and how much there is of it. */
export interface Offer {
  readonly productId: string;
  readonly price: Price;
  readonly stock: Stock;
}

/** What comes in or goes out, and why. */
export interface Adjustment {
  readonly productId: string;
  /** Units; negative: they go out. */
  readonly delta: number;
  readonly reason: string;
}

/** Keeps how much there is of each product. What changes it runs in a transaction of the caller. */
export interface InventoryStore {
  /** Problem: products_not_found. */
  get(productId: string): Promise<Stock>;
  /**
   * Adds to the stock, and writes it down. Problems: products_not_found; stock_insufficient, when less than what is reserved
   * would be left.
   */
  adjust(trx: Transaction<ProductTables>, adjustment: Adjustment): Promise<Stock>;
  /**
   * What these products cost and how much there is of them, all as of one moment: one statement, however many they are, by
   * primary keys and one index range of what has expired. Products that do not exist are left out.
   */
  offers(productIds: readonly string[]): Promise<readonly Offer[]>;
}

/** What a store is made of. */
export interface InventoryStoreOptions {
  readonly database: Database<ProductTables>;
  readonly clock: Clock;
  readonly newId: () => string;
}

/** A store over a database of either engine. */
export function createInventoryStore({ database, clock, newId }: InventoryStoreOptions): InventoryStore {
  const rows = createStockRows({ engine: database.engine, clock });
  const offers: InventoryStore["offers"] = async (productIds) => {
    const possible = productIds.filter(isId);
    return possible.length === 0 ? [] : await readOffers(database, possible, clock.now());
  };
  return {
    offers,
    async get(productId) {
      const [offer] = await offers([productId]);
      if (offer === undefined) throw new InventoryError({ kind: "products_not_found", ids: [productId] });
      return offer.stock;
    },
    async adjust(trx, { productId, delta, reason }) {
      if (!isId(productId)) throw new InventoryError({ kind: "products_not_found", ids: [productId] });
      await rows.lock(trx, [productId]);
      await rows.giveBackExpired(trx, [productId]);
      const change = { productId, delta, nowMs: clock.now() };
      const row = (await add(trx, change)) ?? (await addFirst(trx, change, { isShared: database.engine === "postgres" }));
      const entry = {
        product_id: productId,
        id: newId(),
        delta,
        on_hand: row.on_hand,
        reason,
        reservation_id: "",
        at_ms: row.update_ms,
      };
      await trx.insertInto("stock_ledger").values(entry).execute();
      return { productId, onHand: row.on_hand, reserved: row.reserved, updateMs: row.update_ms };
    },
  };
}

/** An instance that knows of no stock may have deleted the product and left its stock. */
export const productExists: RawBuilder<boolean> = sql<boolean>`exists (select 1 from products where id = stock.product_id)`;

type StockRow = Selectable<ProductTables["stock"]>;

interface Change {
  readonly productId: string;
  readonly delta: number;
  readonly nowMs: number;
}

async function add(trx: Transaction<ProductTables>, { productId, delta, nowMs }: Change): Promise<StockRow | undefined> {
  return await trx
    .updateTable("stock")
    .set((column) => ({ on_hand: column("on_hand", "+", delta), update_ms: nowMs }))
    .where("product_id", "=", productId)
    .where((is) => is(is("on_hand", "+", delta), ">=", is.ref("reserved")))
    .where(productExists)
    .returningAll()
    .executeTakeFirst();
}

/**
 * Adds to a product that has no row yet: it is made, and the product held against being deleted at the same time. Where there
 * is a row, which is locked, it must not wait for the product: who deletes it holds that first, and then asks for the row.
 */
async function addFirst(
  trx: Transaction<ProductTables>,
  change: Change,
  { isShared }: { readonly isShared: boolean },
): Promise<StockRow> {
  const { productId, delta, nowMs } = change;
  const find = trx.selectFrom("stock").selectAll().where("product_id", "=", productId);
  if ((await find.executeTakeFirst()) === undefined) {
    await trx
      .insertInto("stock")
      .columns(["product_id", "on_hand", "reserved", "update_ms"])
      .expression((is) =>
        is
          .selectFrom("products")
          .select((column) => [
            "id",
            column.lit(0).as("on_hand"),
            column.lit(0).as("reserved"),
            column.val(nowMs).as("update_ms"),
          ])
          .where("id", "=", productId)
          .$if(isShared, (query) => query.forKeyShare()),
      )
      .onConflict((conflict) => conflict.column("product_id").doNothing())
      .execute();
  }
  // Once more in any case: somebody else may have made the row between the two statements before.
  const added = await add(trx, change);
  if (added !== undefined) return added;
  const row = await find.where(productExists).executeTakeFirst();
  if (row === undefined) throw new InventoryError({ kind: "products_not_found", ids: [productId] });
  const rest = available({ onHand: row.on_hand, reserved: row.reserved });
  throw new InventoryError({ kind: "stock_insufficient", lines: [{ productId, asked: -delta, available: rest }] });
}

async function readOffers(
  database: Database<ProductTables>,
  productIds: readonly string[],
  nowMs: number,
): Promise<readonly Offer[]> {
  const found = await database.read
    .selectFrom("products")
    .leftJoin("stock", "stock.product_id", "products.id")
    .where("products.id", "in", productIds)
    .select((is) => [
      "products.id",
      "products.currency",
      "products.price_minor",
      "stock.on_hand",
      "stock.reserved",
      "stock.update_ms",
      is
        .selectFrom("reservation_lines as line")
        .whereRef("line.product_id", "=", "products.id")
        .where("line.held_until_ms", "<=", nowMs)
        .select(sql<number>`cast(coalesce(sum(line.quantity), 0) as bigint)`.as("units"))
        .as("expired"),
    ])
    .execute();
  return found.map(({ id, currency, price_minor, on_hand, reserved, update_ms, expired }) => ({
    productId: id,
    price: { currency, minor: price_minor },
    stock: {
      productId: id,
      onHand: on_hand ?? 0,
      reserved: (reserved ?? 0) - (expired ?? 0),
      updateMs: update_ms ?? undefined,
    },
  }));
}
