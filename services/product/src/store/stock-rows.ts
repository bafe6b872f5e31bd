import type { Clock } from "@protoloom/mesh";
import { sql } from "kysely";
import type { RawBuilder, Transaction } from "kysely";
import type { ReservationLine } from "../domain/reservation.ts";
import type { ProductTables } from "./migrations.ts";

/**
 * The rows of the stock inside a transaction. Whoever changes them, or lines that are held, first locks the rows, in the
 * order of the products: so two transactions that share products wait for each other, and never in a circle. A reservation
 * is locked before any stock, and one transaction locks no second one after that.
 */
export interface StockRows {
  /** Locks the rows of these products. Products without a row have no stock. */
  lock(trx: Transaction<ProductTables>, productIds: readonly string[]): Promise<void>;
  /** Gives back what has expired of these products, whose rows are locked: then `reserved` is what is really held. */
  giveBackExpired(trx: Transaction<ProductTables>, productIds: readonly string[]): Promise<void>;
  /** Removes the row of a product that is being deleted, and gives how many units are reserved: only with 0 it is gone. */
  remove(trx: Transaction<ProductTables>, productId: string): Promise<number>;
}

/** How the rows are locked on an engine. On SQLite a transaction is alone from its beginning. */
export function createStockRows({ engine, clock }: { readonly engine: "sqlite" | "postgres"; readonly clock: Clock }): StockRows {
  const lock: StockRows["lock"] = async (trx, productIds) => {
    if (engine === "sqlite" || productIds.length === 0) return;
    await trx
      .selectFrom("stock")
      .select("product_id")
      .where("product_id", "in", productIds)
      .orderBy("product_id")
      .forUpdate()
      .execute();
  };
  const giveBackExpired: StockRows["giveBackExpired"] = async (trx, productIds) => {
    if (productIds.length === 0) return;
    // By the time after the wait for the lock. This statement sees what was committed before the lock was had, and nobody
    // else changes these lines until it is given up.
    const expired = await trx
      .updateTable("reservation_lines")
      .set({ held_until_ms: null })
      .where("product_id", "in", productIds)
      .where("held_until_ms", "<=", clock.now())
      .returning(["product_id", "quantity"])
      .execute();
    await giveBack(trx, expired);
  };
  return {
    lock,
    giveBackExpired,
    async remove(trx, productId) {
      await lock(trx, [productId]);
      await giveBackExpired(trx, [productId]);
      await trx.deleteFrom("stock").where("product_id", "=", productId).where("reserved", "=", 0).execute();
      const left = await trx.selectFrom("stock").select("reserved").where("product_id", "=", productId).executeTakeFirst();
      return left?.reserved ?? 0;
    },
  };
}

/** Takes lines that are held no more out of `reserved`. */
export async function giveBack(
  trx: Transaction<ProductTables>,
  lines: readonly { readonly product_id: string; readonly quantity: number }[],
): Promise<void> {
  if (lines.length === 0) return;
  await sql`update stock set reserved = reserved - line.column2
    from ${lineValues(sumsOf(lines))} as line where product_id = line.column1`.execute(trx);
}

/** The units of each product. */
export function sumsOf(lines: readonly { readonly product_id: string; readonly quantity: number }[]): readonly ReservationLine[] {
  const sums = new Map<string, number>();
  for (const { product_id, quantity } of lines) sums.set(product_id, (sums.get(product_id) ?? 0) + quantity);
  return [...sums].map(([productId, quantity]) => ({ productId, quantity }));
}

/** Lines as a table whose columns both engines call `column1` (the product) and `column2` (the units). */
export function lineValues(lines: readonly ReservationLine[]): RawBuilder<unknown> {
  return sql`(values ${sql.join(lines.map(({ productId, quantity }) => sql`(${productId}, cast(${quantity} as bigint))`))})`;
}
