import type { Clock } from "@protoloom/mesh";
import { isId } from "@protoloom/mesh/data";
import { sql } from "kysely";
import type { Transaction } from "kysely";
import { InventoryError } from "../domain/inventory-error.ts";
import type { ReservationLine } from "../domain/reservation.ts";
import { available } from "../domain/stock.ts";
import { productExists } from "./inventory-store.ts";
import type { ProductTables } from "./migrations.ts";
import { lineValues } from "./stock-rows.ts";
import type { StockRows } from "./stock-rows.ts";

/**
 * Adds lines, each of another product, to what is reserved of their products. If a single one does not fit it throws, with
 * all that do not. Problems: products_not_found, stock_insufficient.
 */
export async function holdLines(
  trx: Transaction<ProductTables>,
  lines: readonly ReservationLine[],
  { rows, clock }: { readonly rows: StockRows; readonly clock: Clock },
): Promise<void> {
  const possible = lines.filter(({ productId }) => isId(productId));
  await rows.lock(trx, idsOf(possible));
  const held = new Set<string>();
  const missing = (): readonly ReservationLine[] => possible.filter(({ productId }) => !held.has(productId));
  const holdMissing = async (): Promise<void> => {
    for (const { product_id } of await addToReserved(trx, missing(), clock.now())) held.add(product_id);
  };
  await holdMissing();
  if (held.size === lines.length) return;
  // Only now it matters whether part of what is reserved has expired.
  await rows.giveBackExpired(trx, idsOf(missing()));
  await holdMissing();
  if (held.size === lines.length) return;
  const rest = await readAvailable(trx, missing());
  const others = lines.filter(({ productId }) => !held.has(productId));
  const unknown = others.filter(({ productId }) => !rest.has(productId));
  if (unknown.length > 0) throw new InventoryError({ kind: "products_not_found", ids: idsOf(unknown) });
  const short = others.map(({ productId, quantity }) => ({ productId, asked: quantity, available: rest.get(productId) ?? 0 }));
  throw new InventoryError({ kind: "stock_insufficient", lines: short });
}

function idsOf(lines: readonly ReservationLine[]): readonly string[] {
  return lines.map(({ productId }) => productId);
}

/** Adds what fits, and says for which products it did. */
async function addToReserved(
  trx: Transaction<ProductTables>,
  lines: readonly ReservationLine[],
  nowMs: number,
): Promise<readonly { readonly product_id: string }[]> {
  if (lines.length === 0) return [];
  const { rows } = await sql<{ readonly product_id: string }>`
    update stock set reserved = reserved + line.column2, update_ms = ${nowMs} from ${lineValues(lines)} as line
    where product_id = line.column1 and on_hand - reserved >= line.column2 and ${productExists}
    returning product_id`.execute(trx);
  return rows;
}

/** What can be reserved of the products of these lines; those that do not exist are left out. */
async function readAvailable(
  trx: Transaction<ProductTables>,
  lines: readonly ReservationLine[],
): Promise<ReadonlyMap<string, number>> {
  if (lines.length === 0) return new Map();
  const found = await trx
    .selectFrom("products")
    .leftJoin("stock", "stock.product_id", "products.id")
    .select(["products.id", "stock.on_hand as onHand", "stock.reserved"])
    .where("products.id", "in", idsOf(lines))
    .execute();
  return new Map(found.map(({ id, onHand, reserved }) => [id, available({ onHand: onHand ?? 0, reserved: reserved ?? 0 })]));
}
