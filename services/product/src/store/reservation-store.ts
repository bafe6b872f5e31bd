import type { Clock } from "@protoloom/mesh";
import { isId, readPage } from "@protoloom/mesh/data";
import type { Database, OrderTerm, PageTokens } from "@protoloom/mesh/data";
import { sql } from "kysely";
import type { Selectable, Transaction } from "kysely";
import { InventoryError } from "../domain/inventory-error.ts";
import { stateAt } from "../domain/reservation.ts";
import type { Reservation, ReservationLine, ReservationState } from "../domain/reservation.ts";
import { holdLines } from "./hold-lines.ts";
import type { ProductTables } from "./migrations.ts";
import { createStockRows, giveBack, lineValues } from "./stock-rows.ts";
import type { StockRows } from "./stock-rows.ts";

/** Which page of which reservations. */
export interface ListReservationsQuery {
  readonly pageSize: number;
  readonly pageToken: string;
  /** Undefined: any. */
  readonly state: ReservationState | undefined;
  /** Empty: any. */
  readonly productId: string;
}

/** Keeps the reservations. What changes them runs in a transaction of the caller. */
export interface ReservationStore {
  /**
   * Holds all lines, each of another product, or none. Problems: products_not_found, stock_insufficient, each with every
   * line it holds for. Cost: four statements, however many lines.
   */
  reserve(trx: Transaction<ProductTables>, lines: readonly ReservationLine[], holdMs: number): Promise<Reservation>;
  /** Takes what is held out of the stock; again, it reads. Problems: reservation_not_found, reservation_ended. */
  commit(trx: Transaction<ProductTables>, id: string): Promise<Reservation>;
  /** Gives back what is held; what was given back it reads. Problems: reservation_not_found, reservation_ended. */
  release(trx: Transaction<ProductTables>, id: string): Promise<Reservation>;
  /**
   * Lists in the order of the ids, which is that of their making. Cost of a page, whatever its depth: an index range by
   * primary key, by (state, id) or by (product, id), and none is sorted; with a product and a state, that of the product is
   * gone through until the page is full. Expired ones are looked for among the held ones too, of which no sweep has noted it.
   */
  list(query: ListReservationsQuery): Promise<{ readonly reservations: readonly Reservation[]; readonly nextPageToken: string }>;
  /**
   * Notes what has expired and gives it back: a batch, and how many it were. It changes what is kept, not what anybody is
   * answered: an expired reservation counts nowhere before it. Any number of instances may do it at once, each reservation
   * is one's.
   */
  expire(trx: Transaction<ProductTables>, batch: number): Promise<number>;
}

/** What a store is made of. */
export interface ReservationStoreOptions {
  readonly database: Database<ProductTables>;
  readonly tokens: PageTokens;
  readonly clock: Clock;
  readonly newId: () => string;
}

type ReservationRow = Selectable<ProductTables["reservations"]>;

const oldestFirst: readonly OrderTerm[] = [{ column: "id", descending: false }];
const oldestLineFirst: readonly OrderTerm[] = [{ column: "reservation_id", descending: false }];

/** A store over a database of either engine. */
export function createReservationStore({ database, tokens, clock, newId }: ReservationStoreOptions): ReservationStore {
  const rows = createStockRows({ engine: database.engine, clock });
  const reading: Pick<Transaction<ProductTables>, "selectFrom"> = database.read;
  return {
    async reserve(trx, lines, holdMs) {
      await holdLines(trx, lines, { rows, clock });
      const nowMs = clock.now();
      const row = { id: newId(), state: "held" as const, create_ms: nowMs, expire_ms: nowMs + holdMs };
      await trx.insertInto("reservations").values(row).execute();
      await trx
        .insertInto("reservation_lines")
        .values(
          lines.map(({ productId, quantity }, position) => ({
            reservation_id: row.id,
            position,
            product_id: productId,
            quantity,
            held_until_ms: row.expire_ms,
          })),
        )
        .execute();
      return fromRow(row, lines, nowMs);
    },
    async commit(trx, id) {
      if (!isId(id)) throw new InventoryError({ kind: "reservation_not_found", id });
      const nowMs = clock.now();
      const row = await trx
        .updateTable("reservations")
        .set({ state: "committed" })
        .where("id", "=", id)
        .where("state", "=", "held")
        .where("expire_ms", ">", nowMs)
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) return await readEnded(trx, { id, wanted: ["committed"], nowMs });
      const [reservation] = await withLines(trx, [row], nowMs);
      if (reservation === undefined) throw new Error(`reservation ${id} has no lines`);
      const settled = await settle(trx, rows, [reservation]);
      // An instance whose clock is ahead has given it away.
      if (settled.length < reservation.lines.length)
        throw new InventoryError({ kind: "reservation_ended", id, state: "expired" });
      await takeOut(trx, reservation, { nowMs, newId });
      return reservation;
    },
    async release(trx, id) {
      if (!isId(id)) throw new InventoryError({ kind: "reservation_not_found", id });
      const nowMs = clock.now();
      const row = await trx
        .updateTable("reservations")
        .set({ state: sql<ReservationState>`case when expire_ms > ${nowMs} then 'released' else 'expired' end` })
        .where("id", "=", id)
        .where("state", "=", "held")
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) return await readEnded(trx, { id, wanted: ["released", "expired"], nowMs });
      const released = await withLines(trx, [row], nowMs);
      await giveBack(trx, await settle(trx, rows, released));
      return released[0] ?? fromRow(row, [], nowMs);
    },
    async list({ pageSize, pageToken, state, productId }) {
      const nowMs = clock.now();
      let query = reading.selectFrom("reservations").selectAll("reservations");
      if (productId !== "") {
        // Ordered by the line's own column: SQLite then goes along the index of the product and sorts nothing.
        query = query
          .innerJoin("reservation_lines as line", "line.reservation_id", "reservations.id")
          .where("line.product_id", "=", productId)
          .select("line.reservation_id") as unknown as typeof query;
      }
      if (state === "held") query = query.where("state", "=", "held").where("expire_ms", ">", nowMs);
      else if (state === "expired") query = query.where("state", "in", ["held", "expired"]).where("expire_ms", "<=", nowMs);
      else if (state !== undefined) query = query.where("state", "=", state);
      const filters = ["ListReservations", state ?? "", productId];
      const page = await readPage(query, tokens, {
        pageSize,
        pageToken,
        order: productId === "" ? oldestFirst : oldestLineFirst,
        filters,
      });
      return { reservations: await withLines(reading, page.rows, nowMs), nextPageToken: page.nextPageToken };
    },
    async expire(trx, batch) {
      const nowMs = clock.now();
      const due = await trx
        .selectFrom("reservations")
        .select("id")
        .where("state", "=", "held")
        .where("expire_ms", "<=", nowMs)
        .orderBy("expire_ms")
        .limit(batch)
        .$if(database.engine === "postgres", (query) => query.forUpdate().skipLocked())
        .execute();
      if (due.length === 0) return 0;
      const ended = await trx
        .updateTable("reservations")
        .set({ state: "expired" })
        .where(
          "id",
          "in",
          due.map(({ id }) => id),
        )
        .where("state", "=", "held")
        .returningAll()
        .execute();
      await giveBack(trx, await settle(trx, rows, await withLines(trx, ended, nowMs)));
      return ended.length;
    },
  };
}

interface HeldLine {
  readonly product_id: string;
  readonly quantity: number;
}

/** Ends the lines of reservations that are locked. Gives those that were held until now: they are part of `reserved` still. */
async function settle(
  trx: Transaction<ProductTables>,
  rows: StockRows,
  reservations: readonly Reservation[],
): Promise<readonly HeldLine[]> {
  if (reservations.length === 0) return [];
  const products = new Set(reservations.flatMap(({ lines }) => lines.map(({ productId }) => productId)));
  await rows.lock(trx, [...products]);
  return await trx
    .updateTable("reservation_lines")
    .set({ held_until_ms: null })
    .where(
      "reservation_id",
      "in",
      reservations.map(({ id }) => id),
    )
    .where("held_until_ms", "is not", null)
    .returning(["product_id", "quantity"])
    .execute();
}

/** Takes the lines, which were held, out of the stock, and writes it down. */
async function takeOut(
  trx: Transaction<ProductTables>,
  { id, lines }: Reservation,
  { nowMs, newId }: { readonly nowMs: number; readonly newId: () => string },
): Promise<void> {
  const { rows: left } = await sql<{ readonly product_id: string; readonly on_hand: number }>`
    update stock set on_hand = on_hand - line.column2, reserved = reserved - line.column2, update_ms = ${nowMs}
    from ${lineValues(lines)} as line where product_id = line.column1 returning product_id, on_hand`.execute(trx);
  const taken = new Map(lines.map(({ productId, quantity }) => [productId, quantity]));
  const entries = left.map(({ product_id, on_hand }) => ({
    product_id,
    id: newId(),
    delta: -(taken.get(product_id) ?? 0),
    on_hand,
    reason: "",
    reservation_id: id,
    at_ms: nowMs,
  }));
  // An instance that knows of no stock may have deleted all of these products, and their stock then was removed.
  if (entries.length > 0) await trx.insertInto("stock_ledger").values(entries).execute();
}

/** A reservation that did not change, since it had ended as wanted before. */
async function readEnded(
  trx: Transaction<ProductTables>,
  { id, wanted, nowMs }: { readonly id: string; readonly wanted: readonly ReservationState[]; readonly nowMs: number },
): Promise<Reservation> {
  const row = await trx.selectFrom("reservations").selectAll().where("id", "=", id).executeTakeFirst();
  const [reservation] = row === undefined ? [] : await withLines(trx, [row], nowMs);
  if (reservation === undefined) throw new InventoryError({ kind: "reservation_not_found", id });
  if (wanted.includes(reservation.state)) return reservation;
  throw new InventoryError({ kind: "reservation_ended", id, state: reservation.state });
}

/** Reservations with their lines, in one more statement. */
async function withLines(
  db: Pick<Transaction<ProductTables>, "selectFrom">,
  reservations: readonly ReservationRow[],
  nowMs: number,
): Promise<readonly Reservation[]> {
  if (reservations.length === 0) return [];
  const lines = await db
    .selectFrom("reservation_lines")
    .select(["reservation_id", "product_id", "quantity"])
    .where(
      "reservation_id",
      "in",
      reservations.map(({ id }) => id),
    )
    .orderBy("reservation_id")
    .orderBy("position")
    .execute();
  const byReservation = Map.groupBy(lines, ({ reservation_id }) => reservation_id);
  return reservations.map((row) => {
    const own = byReservation.get(row.id) ?? [];
    return fromRow(
      row,
      own.map(({ product_id, quantity }) => ({ productId: product_id, quantity })),
      nowMs,
    );
  });
}

function fromRow(row: ReservationRow, lines: readonly ReservationLine[], nowMs: number): Reservation {
  const times = { createMs: row.create_ms, expireMs: row.expire_ms };
  return { id: row.id, lines, state: stateAt({ state: row.state, expireMs: row.expire_ms }, nowMs), ...times };
}
