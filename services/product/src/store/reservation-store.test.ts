import { silentLogger, systemClock } from "@protoloom/mesh";
import type { Clock } from "@protoloom/mesh";
import { createPageTokens, newId, openDatabase } from "@protoloom/mesh/data";
import type { Database } from "@protoloom/mesh/data";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../../tools/databases.ts";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import type { Reservation } from "../domain/reservation.ts";
import type { Stock } from "../domain/stock.ts";
import { createReservationSweep, sweepDefaults } from "../reservation-sweep.ts";
import { createInventoryStore } from "./inventory-store.ts";
import type { InventoryStore } from "./inventory-store.ts";
import { productMigrations } from "./migrations.ts";
import type { ProductTables } from "./migrations.ts";
import { createProductStore } from "./product-store.ts";
import { createReservationStore } from "./reservation-store.ts";
import type { ReservationStore } from "./reservation-store.ts";

/** The stores of one instance, with its own clock. */
interface Instance {
  readonly inventory: InventoryStore;
  readonly reservations: ReservationStore;
  readonly clock: Clock;
}

describeOnEachEngine("the reservation store", (newPlace) => {
  let nowMs = 1_700_000_000_000;
  let place: DatabasePlace;
  let database: Database<ProductTables>;
  let createInstance: (clock: Clock) => Instance;
  let one: Instance;

  const clockAt = (aheadMs: number): Clock => ({ ...systemClock, now: () => nowMs + aheadMs });

  beforeAll(async () => {
    place = newPlace("product");
    database = await openDatabase<ProductTables>({ ...place, migrations: productMigrations, logger: silentLogger });
    const tokens = await createPageTokens(database, { domain: "product.v1" });
    createInstance = (clock) => {
      const parts = { database, tokens, clock, newId };
      return { inventory: createInventoryStore(parts), reservations: createReservationStore(parts), clock };
    };
    one = createInstance(clockAt(0));
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const stocked = async (onHand: number): Promise<string> => {
    const products = createProductStore({
      database,
      tokens: await createPageTokens(database, { domain: "product.v1" }),
      clock: one.clock,
      newId,
      record: async () => {},
    });
    const fields = { name: "thing", description: "", category: "", price: { currency: "EUR", minor: 1 } };
    return await database.transaction(async (trx) => {
      const { id: productId } = await products.create(trx, fields);
      await one.inventory.adjust(trx, { productId, delta: onHand, reason: "delivered" });
      return productId;
    });
  };
  const reserve = async (lines: Readonly<Record<string, number>>, holdMs: number, { reservations } = one): Promise<Reservation> =>
    await database.transaction(
      async (trx) =>
        await reservations.reserve(
          trx,
          Object.entries(lines).map(([productId, quantity]) => ({ productId, quantity })),
          holdMs,
        ),
    );
  const commit = async (id: string, { reservations } = one): Promise<Reservation> =>
    await database.transaction(async (trx) => await reservations.commit(trx, id));
  const release = async (id: string, { reservations } = one): Promise<Reservation> =>
    await database.transaction(async (trx) => await reservations.release(trx, id));
  const stateOf = async (id: string): Promise<string | undefined> =>
    (await database.read.selectFrom("reservations").select("state").where("id", "=", id).executeTakeFirst())?.state;
  /** What is kept, which what is answered may be ahead of. */
  const kept = async (productId: string): Promise<Partial<Stock>> => {
    const query = database.read.selectFrom("stock").select(["on_hand", "reserved"]).where("product_id", "=", productId);
    const row = await query.executeTakeFirst();
    return { onHand: row?.on_hand ?? -1, reserved: row?.reserved ?? -1 };
  };

  test("of several sweeps at once each ends its own, and what has expired is given back once", async () => {
    const id = await stocked(10_000);
    const made = await Promise.all(
      Array.from({ length: 250 }, async (_, index) => await reserve({ [id]: 2 }, 1_000 + (index % 3))),
    );
    const later = await reserve({ [id]: 3 }, 60_000);
    nowMs += 1_002;
    const sweeps = [one, createInstance(clockAt(0)), createInstance(clockAt(0))].map(({ reservations, clock }) =>
      createReservationSweep({ database, reservations, clock, logger: silentLogger }),
    );
    try {
      const counts = await Promise.all(sweeps.map(async ({ sweep }) => await sweep()));
      // One that finds all of a batch taken by the others is done: the rest is theirs, or the next round's.
      const rest = (await sweeps[0]?.sweep()) ?? 0;
      expect(counts.reduce((sum, count) => sum + count, rest)).toBe(made.length);
      expect(await kept(id)).toEqual({ onHand: 10_000, reserved: 3 });
      expect([await stateOf(made[0]?.id ?? ""), await stateOf(later.id)]).toEqual(["expired", "held"]);
      expect(await Promise.all(sweeps.map(async ({ sweep }) => await sweep()))).toEqual([0, 0, 0]);
    } finally {
      for (const sweep of sweeps) await sweep[Symbol.asyncDispose]();
    }
  });

  test("the sweep goes on by the clock, and after a round that failed", async () => {
    const id = await stocked(5);
    const reservation = await reserve({ [id]: 5 }, 1_000);
    nowMs += 1_000;
    const rounds: { readonly ms: number; readonly go: () => void }[] = [];
    const clock: Clock = {
      ...one.clock,
      sleep: async (ms, signal) =>
        await new Promise((resolve, reject) => {
          rounds.push({ ms, go: resolve });
          signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
        }),
    };
    const round = async (index: number): Promise<void> => {
      await expect.poll(() => rounds.length, { timeout: 5_000, interval: 2 }).toBe(index + 1);
      expect(rounds[index]?.ms).toBe(sweepDefaults.intervalMs);
      rounds[index]?.go();
    };
    const failing: ReservationStore = {
      ...one.reservations,
      expire: async (trx, batch) => {
        if (rounds.length === 1) throw new Error("the first round fails, as the test wants it");
        return await one.reservations.expire(trx, batch);
      },
    };
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (_: unknown, message?: string) => void warnings.push(message ?? "") };
    await using _sweep = createReservationSweep({ database, reservations: failing, clock, logger });
    await round(0);
    await round(1);
    await expect.poll(async () => await stateOf(reservation.id), { timeout: 5_000, interval: 5 }).toBe("expired");
    expect(await kept(id)).toEqual({ onHand: 5, reserved: 0 });
    expect(warnings).toEqual(["expired reservations could not be ended"]);
  });

  test("a sweep and those who take over, commit or release what has just expired never count it twice", async () => {
    for (let round = 0; round < 15; round++) {
      const [a, b] = [await stocked(10), await stocked(10)];
      const first = await reserve({ [a]: 10, [b]: 4 }, 1_000);
      nowMs += 1_000;
      const sweep = createReservationSweep({ database, ...one, logger: silentLogger });
      const ends = await Promise.allSettled([
        sweep.sweep(),
        reserve({ [b]: 10, [a]: 1 }, 1_000),
        reserve({ [a]: 9 }, 1_000),
        release(first.id),
        commit(first.id),
      ]);
      await sweep[Symbol.asyncDispose]();
      expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "fulfilled", "rejected"]);
      expect([await kept(a), await kept(b)]).toEqual([
        { onHand: 10, reserved: 10 },
        { onHand: 10, reserved: 10 },
      ]);
      expect(await stateOf(first.id)).toBe("expired");
      nowMs += 1_000;
    }
  });

  test("what an instance with a clock ahead has given away is not committed by one with a clock behind", async () => {
    const ahead = createInstance(clockAt(5_000));
    const [a, b] = [await stocked(10), await stocked(10)];
    const first = await reserve({ [a]: 10, [b]: 1 }, 2_000);
    const second = await reserve({ [a]: 10 }, 60_000, ahead);
    await expect(commit(first.id)).rejects.toMatchObject({
      problem: { kind: "reservation_ended", id: first.id, state: "expired" },
    });
    expect([await kept(a), await kept(b)]).toEqual([
      { onHand: 10, reserved: 10 },
      { onHand: 10, reserved: 1 },
    ]);
    expect(await release(first.id)).toMatchObject({ state: "released" });
    expect([await kept(a), await kept(b)]).toEqual([
      { onHand: 10, reserved: 10 },
      { onHand: 10, reserved: 0 },
    ]);
    await commit(second.id);
    expect(await kept(a)).toEqual({ onHand: 0, reserved: 0 });
  });

  test("the ledger has every change of what is there, and its sum is what is there", async () => {
    const id = await stocked(7);
    await database.transaction(async (trx) => await one.inventory.adjust(trx, { productId: id, delta: -2, reason: "broken" }));
    const reservation = await reserve({ [id]: 3 }, 1_000);
    await release((await reserve({ [id]: 1 }, 1_000)).id);
    await commit(reservation.id);
    await commit(reservation.id);
    await expect(
      database.transaction(async (trx) => await one.inventory.adjust(trx, { productId: id, delta: -3, reason: "stolen" })),
    ).rejects.toMatchObject({ problem: { kind: "stock_insufficient", lines: [{ productId: id, asked: 3, available: 2 }] } });
    const entries = await database.read
      .selectFrom("stock_ledger")
      .select(["delta", "on_hand", "reason", "reservation_id"])
      .where("product_id", "=", id)
      .orderBy("id")
      .execute();
    expect(entries).toEqual([
      { delta: 7, on_hand: 7, reason: "delivered", reservation_id: "" },
      { delta: -2, on_hand: 5, reason: "broken", reservation_id: "" },
      { delta: -3, on_hand: 2, reason: "", reservation_id: reservation.id },
    ]);
    expect(await kept(id)).toEqual({ onHand: 2, reserved: 0 });
  });

  test("a product that an instance without inventory deleted is unknown, and its reservations end as they would", async () => {
    const [id, other] = [await stocked(5), await stocked(5)];
    const first = await reserve({ [id]: 2 }, 60_000);
    const second = await reserve({ [id]: 1 }, 60_000);
    await database.transaction(async (trx) => await trx.deleteFrom("products").where("id", "=", id).execute());
    const notFound = { problem: { kind: "products_not_found", ids: [id] } };
    await expect(one.inventory.get(id)).rejects.toMatchObject(notFound);
    await expect(reserve({ [other]: 1, [id]: 1 }, 1_000)).rejects.toMatchObject(notFound);
    await expect(
      database.transaction(async (trx) => await one.inventory.adjust(trx, { productId: id, delta: 1, reason: "x" })),
    ).rejects.toMatchObject(notFound);
    expect(await commit(first.id)).toMatchObject({ state: "committed" });
    expect(await release(second.id)).toMatchObject({ state: "released" });
    expect(await kept(other)).toEqual({ onHand: 5, reserved: 0 });
  });

  test("the tables of the inventory are added beside an instance that does not know them", async () => {
    await using shared = newPlace("product");
    const { "0001_products": first } = productMigrations;
    if (first === undefined) throw new Error("the first step has another name");
    const older = await openDatabase<ProductTables>({ ...shared, migrations: { "0001_products": first }, logger: silentLogger });
    const stored = async (by: Database<ProductTables>): Promise<string> => {
      const store = createProductStore({
        database: by,
        tokens: await createPageTokens(by, { domain: "product.v1" }),
        clock: one.clock,
        newId,
        record: async () => {},
      });
      const fields = { name: "thing", description: "", category: "", price: { currency: "EUR", minor: 1 } };
      return (await by.transaction(async (trx) => await store.create(trx, fields))).id;
    };
    const id = await stored(older);
    // On SQLite there is one instance, which the newer one follows; on PostgreSQL they run beside each other.
    if (shared.engine === "sqlite") await older[Symbol.asyncDispose]();
    await using newer = await openDatabase<ProductTables>({ ...shared, migrations: productMigrations, logger: silentLogger });
    const ids = shared.engine === "sqlite" ? [id] : [id, await stored(older)];
    const inventory = createInventoryStore({ database: newer, clock: one.clock, newId });
    for (const productId of ids) {
      expect(await inventory.get(productId)).toMatchObject({ onHand: 0, reserved: 0 });
      await newer.transaction(async (trx) => await inventory.adjust(trx, { productId, delta: 3, reason: "delivered" }));
      expect(await inventory.get(productId)).toMatchObject({ onHand: 3, reserved: 0 });
    }
    await older[Symbol.asyncDispose]();
  });
});
