import { InventoryService } from "@protoloom/contracts";
import { QuoteBasketRequest, ReservationState } from "@protoloom/contracts/product/v1";
import type { Product, QuoteBasketResponse, Reservation, Stock } from "@protoloom/contracts/product/v1";
import { MeshError, seededRandom, systemClock } from "@protoloom/mesh";
import type { Random } from "@protoloom/mesh";
import { newId } from "@protoloom/mesh/data";
import { callError, eventually, observeStreams } from "@protoloom/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../tools/databases.ts";
import { startProducts } from "./test-rig/start-products.ts";
import type { ProductClients } from "./test-rig/start-products.ts";

const price = { currencyCode: "EUR", units: 2n, nanos: 500_000_000 };
const { RESERVATION_STATE_HELD: held, RESERVATION_STATE_COMMITTED: committed } = ReservationState;
const { RESERVATION_STATE_RELEASED: released, RESERVATION_STATE_EXPIRED: expired } = ReservationState;

describeOnEachEngine("the inventory service", (newPlace) => {
  const resources = new AsyncDisposableStack();
  let leapMs = 0;
  const clock = { ...systemClock, now: () => Date.now() + leapMs };
  const quoting = observeStreams(InventoryService.definition.quoteBasket);
  let products: ProductClients["products"];
  let inventory: ProductClients["inventory"];

  beforeAll(async () => {
    const place = resources.use(newPlace("product"));
    ({ products, inventory } = await startProducts(place, resources, { clock, observed: quoting }));
  });
  afterAll(async () => {
    await resources.disposeAsync();
  });

  const stocked = async (onHand: number, fields: Partial<Product> = {}): Promise<Product> => {
    const product = await products.createProduct({ product: { name: "Thing", price, ...fields } });
    if (onHand > 0) await inventory.adjustStock({ productId: product.id, delta: BigInt(onHand), reason: "delivered" });
    return product;
  };
  const counts = ({ onHand, reserved, available }: Stock): number[] => [Number(onHand), Number(reserved), Number(available)];
  const stockOf = async (productId: string): Promise<number[]> => counts(await inventory.getStock({ productId }));
  const reserve = async (lines: Readonly<Record<string, number>>, holdSeconds = 0, requestId = ""): Promise<Reservation> =>
    await inventory.reserveStock({
      lines: Object.entries(lines).map(([productId, quantity]) => ({ productId, quantity: BigInt(quantity) })),
      holdSeconds,
      requestId,
    });

  test("stock is adjusted, reserved, committed and given back, and what is reserved stays", async () => {
    const { id } = await stocked(0);
    expect(await inventory.getStock({ productId: id })).toEqual({
      productId: id,
      onHand: 0n,
      reserved: 0n,
      available: 0n,
      updateTime: undefined,
    });
    const stock = await inventory.adjustStock({ productId: id, delta: 10n, reason: "delivered" });
    expect(counts(stock)).toEqual([10, 0, 10]);
    expect(await inventory.getStock({ productId: id })).toEqual(stock);
    const first = await reserve({ [id]: 4 });
    expect(first).toMatchObject({ lines: [{ productId: id, quantity: 4n }], state: held });
    expect(Number(first.expireTime) - Number(first.createTime)).toBe(900_000);
    const second = await reserve({ [id]: 3 }, 60);
    expect(Number(second.expireTime) - Number(second.createTime)).toBe(60_000);
    expect(await stockOf(id)).toEqual([10, 7, 3]);
    expect(await callError(inventory.adjustStock({ productId: id, delta: -4n, reason: "broken" }))).toMatchObject({
      code: 9,
      reason: "STOCK_INSUFFICIENT",
      domain: "product.v1",
      info: { product_ids: id, available: "3" },
    });
    expect(counts(await inventory.adjustStock({ productId: id, delta: -3n, reason: "broken" }))).toEqual([7, 7, 0]);
    expect(await inventory.commitReservation({ id: first.id })).toEqual({ ...first, state: committed });
    expect(await inventory.commitReservation({ id: first.id })).toEqual({ ...first, state: committed });
    expect(await stockOf(id)).toEqual([3, 3, 0]);
    expect(await inventory.releaseReservation({ id: second.id })).toEqual({ ...second, state: released });
    expect(await inventory.releaseReservation({ id: second.id })).toEqual({ ...second, state: released });
    expect(await stockOf(id)).toEqual([3, 0, 3]);
    expect(await callError(inventory.releaseReservation({ id: first.id }))).toMatchObject({
      code: 9,
      reason: "RESERVATION_ENDED",
      info: { state: "committed" },
    });
    expect(await callError(inventory.commitReservation({ id: second.id }))).toMatchObject({
      code: 9,
      reason: "RESERVATION_ENDED",
      info: { state: "released" },
    });
  });

  test("a reservation is all or nothing, and every line that is short is named", async () => {
    const [plenty, little, none] = [await stocked(10), await stocked(2), await stocked(0)];
    const refused = await callError(reserve({ [plenty.id]: 10, [little.id]: 3, [none.id]: 1 }));
    expect(refused).toMatchObject({
      code: 9,
      reason: "STOCK_INSUFFICIENT",
      domain: "product.v1",
      info: { product_ids: `${little.id},${none.id}`, available: "2,0" },
    });
    expect(refused.detail).toContain(`${little.id}: 3 asked, 2 available`);
    expect(await stockOf(plenty.id)).toEqual([10, 0, 10]);
    expect(await stockOf(little.id)).toEqual([2, 0, 2]);
  });

  test("100 lines that are all short are all named", async () => {
    const names = Array.from({ length: 100 }, (_, index) => `Rare ${index}`);
    const ids = await Promise.all(names.map(async (name) => (await stocked(0, { name })).id));
    const refused = await callError(reserve(Object.fromEntries(ids.map((id) => [id, 1_000_000]))));
    expect(refused).toMatchObject({ code: 9, reason: "STOCK_INSUFFICIENT", info: { product_ids: ids.join(",") } });
    expect((await reserve({ [(await stocked(1)).id]: 1 })).state).toBe(held);
  });

  test("an unknown product is not found and named, however it is spelled", async () => {
    const [known, gone] = [await stocked(1), await stocked(5)];
    await products.deleteProduct({ id: gone.id });
    const notFound = (...ids: string[]): object => ({
      code: 5,
      reason: "PRODUCT_NOT_FOUND",
      domain: "product.v1",
      info: { ids: ids.join(",") },
    });
    for (const id of [gone.id, newId(), "x", "a\0b"]) {
      expect(await callError(inventory.getStock({ productId: id }))).toMatchObject(notFound(id));
      expect(await callError(inventory.adjustStock({ productId: id, delta: 1n, reason: "x" }))).toMatchObject(notFound(id));
      expect(await callError(reserve({ [known.id]: 2, [id]: 1 }))).toMatchObject(notFound(id));
    }
    expect(await callError(reserve({ x: 1, [known.id]: 1, [gone.id]: 1 }))).toMatchObject(notFound("x", gone.id));
    for (const id of [newId(), "x", "a\0b"]) {
      const missing = { code: 5, reason: "RESERVATION_NOT_FOUND", info: { ids: id } };
      expect(await callError(inventory.commitReservation({ id }))).toMatchObject(missing);
      expect(await callError(inventory.releaseReservation({ id }))).toMatchObject(missing);
    }
  });

  test("what breaks the contract is refused", async () => {
    const { id } = await stocked(1);
    const line = { productId: id, quantity: 1n };
    for (const call of [
      inventory.adjustStock({ productId: id, delta: 0n, reason: "x" }),
      inventory.adjustStock({ productId: id, delta: 1n }),
      inventory.reserveStock({ lines: [] }),
      inventory.reserveStock({ lines: [line, line] }),
      inventory.reserveStock({ lines: [{ productId: id, quantity: 0n }] }),
      inventory.reserveStock({ lines: [line], holdSeconds: 86_401 }),
    ]) {
      expect(await callError(call)).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
    }
  });

  test("a product cannot be deleted while units of it are reserved", async () => {
    const product = await stocked(5);
    const reservation = await reserve({ [product.id]: 2 });
    expect(await callError(products.deleteProduct({ id: product.id }))).toMatchObject({
      code: 9,
      reason: "PRODUCT_RESERVED",
      domain: "product.v1",
      info: { units: "2" },
    });
    expect(await stockOf(product.id)).toEqual([5, 2, 3]);
    await inventory.commitReservation({ id: reservation.id });
    await products.deleteProduct({ id: product.id });
    expect(await inventory.commitReservation({ id: reservation.id })).toMatchObject({ state: committed });
  });

  test("a product is deleted, or reserved, and never both", async () => {
    for (let round = 0; round < 20; round++) {
      const { id } = await stocked(1);
      const [deleted, reservation] = await Promise.allSettled([products.deleteProduct({ id }), reserve({ [id]: 1 })]);
      expect([deleted.status, reservation.status].toSorted()).toEqual(["fulfilled", "rejected"]);
      const reason = (deleted.status === "rejected" ? deleted : (reservation as PromiseRejectedResult)).reason as MeshError;
      expect(reason.reason).toBe(deleted.status === "rejected" ? "PRODUCT_RESERVED" : "PRODUCT_NOT_FOUND");
    }
  });

  test("first adjustments and deletes at once leave no stock without a product, and lose none with one", async () => {
    for (let round = 0; round < 10; round++) {
      const { id } = await stocked(0);
      const adjust = async (): Promise<Stock> => await inventory.adjustStock({ productId: id, delta: 5n, reason: "delivered" });
      const [one, two] = await Promise.allSettled([adjust(), adjust(), products.deleteProduct({ id })]);
      for (const outcome of [one, two]) {
        if (outcome.status === "rejected") expect((outcome.reason as MeshError).reason).toBe("PRODUCT_NOT_FOUND");
      }
      expect((await callError(inventory.getStock({ productId: id }))).reason).toBe("PRODUCT_NOT_FOUND");
    }
    const { id } = await stocked(0);
    const delta = 5n;
    await Promise.all(Array.from({ length: 20 }, async () => await inventory.adjustStock({ productId: id, delta, reason: "x" })));
    expect(await stockOf(id)).toEqual([100, 0, 100]);
  });

  test("a reservation that has expired counts nowhere, before anybody has noted it", async () => {
    const [one, two] = [await stocked(10), await stocked(10)];
    const reservation = await reserve({ [one.id]: 10, [two.id]: 4 }, 60);
    try {
      leapMs += 59_000;
      expect(await stockOf(one.id)).toEqual([10, 10, 0]);
      expect((await callError(reserve({ [one.id]: 1 }))).reason).toBe("STOCK_INSUFFICIENT");
      leapMs += 1_100;
      expect(await stockOf(one.id)).toEqual([10, 0, 10]);
      expect(await stockOf(two.id)).toEqual([10, 0, 10]);
      expect((await inventory.listReservations({ productId: one.id, state: expired })).reservations).toEqual([
        { ...reservation, state: expired },
      ]);
      expect((await inventory.listReservations({ productId: one.id, state: held })).reservations).toEqual([]);
      // The one who takes the units over gives back the line of this product alone; the other one still counts nowhere.
      const next = await reserve({ [one.id]: 10 }, 60);
      expect(await stockOf(one.id)).toEqual([10, 10, 0]);
      expect(counts(await inventory.adjustStock({ productId: two.id, delta: -10n, reason: "sold" }))).toEqual([0, 0, 0]);
      expect(await callError(inventory.commitReservation({ id: reservation.id }))).toMatchObject({
        code: 9,
        reason: "RESERVATION_ENDED",
        info: { state: "expired" },
      });
      expect(await inventory.releaseReservation({ id: reservation.id })).toEqual({ ...reservation, state: expired });
      expect(await inventory.releaseReservation({ id: reservation.id })).toEqual({ ...reservation, state: expired });
      expect(await stockOf(one.id)).toEqual([10, 10, 0]);
      expect(await inventory.commitReservation({ id: next.id })).toMatchObject({ state: committed });
      expect(await stockOf(one.id)).toEqual([0, 0, 0]);
      const last = await stocked(3);
      await reserve({ [last.id]: 3 }, 1);
      leapMs += 1_100;
      await products.deleteProduct({ id: last.id });
    } finally {
      leapMs = 0;
    }
  });

  test("reservations are listed oldest first, by state and product, a page at a time", async () => {
    const [one, two] = [await stocked(100), await stocked(100)];
    const made: Reservation[] = [];
    for (let index = 0; index < 12; index++)
      made.push(await reserve({ [one.id]: 1, ...(index % 2 === 0 ? { [two.id]: 2 } : {}) }));
    const end = async (from: number, to: number, how: (id: string) => Promise<Reservation>): Promise<void> => {
      for (let index = from; index < to; index++) made[index] = await how(made[index]?.id ?? "");
    };
    await end(0, 4, async (id) => await inventory.commitReservation({ id }));
    await end(4, 8, async (id) => await inventory.releaseReservation({ id }));
    const listed = async (filter: { productId?: string; state?: ReservationState }, pageSize: number): Promise<Reservation[]> => {
      const all: Reservation[] = [];
      let pageToken = "";
      do {
        const page = await inventory.listReservations({ ...filter, pageSize, pageToken });
        expect(page.reservations.length).toBeLessThanOrEqual(pageSize);
        all.push(...page.reservations);
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      return all;
    };
    for (const pageSize of [1, 5, 100]) {
      expect(await listed({ productId: one.id }, pageSize)).toEqual(made);
      expect(await listed({ productId: two.id }, pageSize)).toEqual(made.filter((_, index) => index % 2 === 0));
      expect(await listed({ productId: one.id, state: held }, pageSize)).toEqual(made.slice(8));
      expect(await listed({ productId: two.id, state: committed }, pageSize)).toEqual([made[0], made[2]]);
      expect(await listed({ productId: one.id, state: released }, pageSize)).toEqual(made.slice(4, 8));
      expect(await listed({ productId: one.id, state: expired }, pageSize)).toEqual([]);
    }
    const all = await listed({}, 100);
    expect(all.slice(-12)).toEqual(made);
    expect((await listed({ state: committed }, 7)).every(({ state }) => state === committed)).toBe(true);
    const { nextPageToken } = await inventory.listReservations({ productId: one.id, pageSize: 1 });
    expect(await callError(inventory.listReservations({ productId: two.id, pageToken: nextPageToken }))).toMatchObject({
      code: 3,
      reason: "PAGE_TOKEN_INVALID",
    });
    expect((await callError(inventory.listReservations({ state: 9 as ReservationState }))).code).toBe(3);
  });

  test("64 reservations at once of the last 10 units give exactly 10", async () => {
    const { id } = await stocked(10);
    const outcomes = await Promise.allSettled(Array.from({ length: 64 }, async () => await reserve({ [id]: 1 })));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
    const reasons = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [(outcome.reason as MeshError).reason] : []));
    expect(new Set(reasons)).toEqual(new Set(["STOCK_INSUFFICIENT"]));
    expect(await stockOf(id)).toEqual([10, 10, 0]);
    expect((await inventory.listReservations({ productId: id, pageSize: 100 })).reservations).toHaveLength(10);
  });

  test("64 reservations at once of units that have just expired give exactly 10", async () => {
    const { id } = await stocked(10);
    for (let index = 0; index < 5; index++) await reserve({ [id]: 2 }, 1);
    try {
      leapMs += 1_100;
      const outcomes = await Promise.allSettled(Array.from({ length: 64 }, async () => await reserve({ [id]: 1 })));
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
      expect(await stockOf(id)).toEqual([10, 10, 0]);
    } finally {
      leapMs = 0;
    }
  });

  test("200 reservations at once with one request id make one reservation and 200 equal answers", async () => {
    const { id } = await stocked(10);
    const requestId = newId();
    const answers = await Promise.all(Array.from({ length: 200 }, async () => await reserve({ [id]: 2 }, 60, requestId)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await stockOf(id)).toEqual([10, 2, 8]);
    expect((await inventory.listReservations({ productId: id })).reservations).toEqual([answers[0]]);
    expect(await callError(reserve({ [id]: 3 }, 60, requestId))).toMatchObject({
      code: 6,
      reason: "REQUEST_ID_REUSED",
      domain: "product.v1",
    });
  });

  test("each change has its effect once for a request id, and a call that failed keeps none", async () => {
    const { id } = await stocked(5);
    const adjustment = { productId: id, delta: 3n, reason: "delivered", requestId: newId() };
    expect(await inventory.adjustStock(adjustment)).toEqual(await inventory.adjustStock(adjustment));
    expect(await stockOf(id)).toEqual([8, 0, 8]);
    const requestId = newId();
    expect((await callError(reserve({ [id]: 9 }, 0, requestId))).reason).toBe("STOCK_INSUFFICIENT");
    await inventory.adjustStock({ productId: id, delta: 1n, reason: "delivered" });
    const reservation = await reserve({ [id]: 9 }, 0, requestId);
    const end = { id: reservation.id, requestId: newId() };
    expect(await inventory.commitReservation(end)).toEqual(await inventory.commitReservation(end));
    expect(await stockOf(id)).toEqual([0, 0, 0]);
  });

  test("of a commit and a release at once exactly one has its way", async () => {
    const { id } = await stocked(200);
    for (let round = 0; round < 20; round++) {
      const reservation = await reserve({ [id]: 1 });
      const before = await stockOf(id);
      const ends = Array.from({ length: 6 }, async (_, index) =>
        index % 2 === 0
          ? await inventory.commitReservation({ id: reservation.id })
          : await inventory.releaseReservation({ id: reservation.id }),
      );
      const outcomes = await Promise.allSettled(ends);
      const states = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.state] : []));
      expect(states).toHaveLength(3);
      expect(new Set(states).size).toBe(1);
      const wasTaken = states[0] === committed;
      expect(await stockOf(id)).toEqual([(before[0] ?? 0) - (wasTaken ? 1 : 0), 0, (before[0] ?? 0) - (wasTaken ? 1 : 0)]);
    }
  });

  test("baskets that cross wait for each other, and none is lost to a deadlock", async () => {
    const ids = await Promise.all(["A", "B", "C", "D"].map(async (name) => (await stocked(1_000, { name })).id));
    const startedMs = performance.now();
    const made = await Promise.all(
      Array.from({ length: 48 }, async (_, index) => {
        const turned = ids.map((__, at) => ids[(at + index) % ids.length] ?? "");
        const order = index % 2 === 0 ? turned : turned.toReversed();
        const reservation = await reserve(Object.fromEntries(order.map((id) => [id, 1])));
        expect(reservation.lines.map(({ productId }) => productId)).toEqual(order);
        return reservation;
      }),
    );
    await Promise.all(
      made.map(async ({ id }, index) =>
        index % 2 === 0 ? await inventory.commitReservation({ id }) : await inventory.releaseReservation({ id }),
      ),
    );
    // PostgreSQL looks for deadlocks after 1 s, and a transaction that met one would be run again: it would be seen here.
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    for (const id of ids) expect(await stockOf(id)).toEqual([976, 0, 976]);
  });

  test("10,000 random operations of 8 clients end with the exact sum", { timeout: 120_000 }, async () => {
    const ids = await Promise.all(
      Array.from({ length: 6 }, async (_, index) => (await stocked(200, { name: `Sum ${index}` })).id),
    );
    const expectedOnHand = new Map(ids.map((id) => [id, 200]));
    const expectedReserved = new Map(ids.map((id) => [id, 0]));
    const add = (sums: Map<string, number>, id: string, units: number): unknown => sums.set(id, (sums.get(id) ?? 0) + units);
    const refusals: string[] = [];

    const client = async (random: Random): Promise<void> => {
      const mine: Reservation[] = [];
      const some = (below: number): number => Math.floor(random() * below);
      const operate = async (): Promise<void> => {
        const choice = random();
        const id = ids[some(ids.length)] ?? "";
        if (choice < 0.35) {
          const delta = some(21) - 10 || 1;
          await inventory.adjustStock({ productId: id, delta: BigInt(delta), reason: "random" });
          add(expectedOnHand, id, delta);
        } else if (choice < 0.65 || mine.length === 0) {
          const wanted = ids.filter(() => random() < 0.4);
          const lines = Object.fromEntries((wanted.length === 0 ? [id] : wanted).map((one) => [one, 1 + some(5)]));
          const reservation = await reserve(lines, 3_600);
          mine.push(reservation);
          for (const { productId, quantity } of reservation.lines) add(expectedReserved, productId, Number(quantity));
        } else {
          const [reservation] = mine.splice(some(mine.length), 1);
          if (reservation === undefined) return;
          const isCommit = choice < 0.8;
          const end = { id: reservation.id };
          await (isCommit ? inventory.commitReservation(end) : inventory.releaseReservation(end));
          for (const { productId, quantity } of reservation.lines) {
            add(expectedReserved, productId, -Number(quantity));
            if (isCommit) add(expectedOnHand, productId, -Number(quantity));
          }
        }
      };
      for (let index = 0; index < 1_250; index++) {
        await operate().catch((error: unknown) =>
          refusals.push(error instanceof MeshError ? (error.reason ?? "") : String(error)),
        );
      }
    };

    await Promise.all(Array.from({ length: 8 }, async (_, index) => await client(seededRandom(index))));
    expect(new Set(refusals)).toEqual(new Set(["STOCK_INSUFFICIENT"]));
    for (const id of ids) {
      const [onHand = -1, reserved = -1] = [expectedOnHand.get(id), expectedReserved.get(id)];
      expect(await stockOf(id)).toEqual([onHand, reserved, onHand - reserved]);
    }
  });

  test("a basket is quoted line by line, in the order of its lines, with totals by currency", async () => {
    const [pen, lamp] = [await stocked(10), await stocked(1, { price: { currencyCode: "USD", units: 1n, nanos: 10_000_000 } })];
    const yen = await stocked(3, { price: { currencyCode: "JPY", units: 500n, nanos: 0 } });
    const line = (productId: string, quantity: number): { productId: string; quantity: bigint } => ({
      productId,
      quantity: BigInt(quantity),
    });
    const unknown = newId();
    const quotes: QuoteBasketResponse[] = [];
    const changes = [line(lamp.id, 2), line(yen.id, 3), line(pen.id, 4), line(unknown, 1), line(unknown, 0), line(lamp.id, 1)];
    for await (const quote of inventory.quoteBasket([...changes, line(yen.id, 0), line(yen.id, 4), line(pen.id, 0)]))
      quotes.push(quote);
    expect(quotes.map(({ requestCount }) => Number(requestCount))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(quotes.map(({ orderable }) => orderable)).toEqual([false, false, false, false, false, true, true, false, false]);
    expect(quotes[0]).toEqual({
      lines: [
        {
          productId: lamp.id,
          quantity: 2n,
          unitPrice: { currencyCode: "USD", units: 1n, nanos: 10_000_000 },
          linePrice: { currencyCode: "USD", units: 2n, nanos: 20_000_000 },
          inStock: false,
        },
      ],
      totals: [{ currencyCode: "USD", units: 2n, nanos: 20_000_000 }],
      orderable: false,
      requestCount: 1n,
    });
    expect(quotes[3]?.lines[3]).toEqual({
      productId: unknown,
      quantity: 1n,
      unitPrice: undefined,
      linePrice: undefined,
      inStock: false,
    });
    expect(quotes[5]?.lines.map(({ productId }) => productId)).toEqual([lamp.id, yen.id, pen.id]);
    expect(quotes[5]?.totals).toEqual([
      { currencyCode: "EUR", units: 10n, nanos: 0 },
      { currencyCode: "JPY", units: 1_500n, nanos: 0 },
      { currencyCode: "USD", units: 1n, nanos: 10_000_000 },
    ]);
    expect(quotes[7]?.lines.map(({ productId }) => productId)).toEqual([lamp.id, pen.id, yen.id]);
    expect(quotes[8]?.lines.map(({ productId }) => productId)).toEqual([lamp.id, yen.id]);
  });

  test("a quote follows prices and stock, and an empty basket costs nothing", async () => {
    const product = await stocked(5);
    const quotes = inventory.quoteBasket(
      (async function* () {
        yield { productId: product.id, quantity: 5n };
        await reserve({ [product.id]: 1 });
        await products.updateProduct({ product: { id: product.id, price: { currencyCode: "JPY", units: 7n, nanos: 0 } } });
        yield { productId: product.id, quantity: 5n };
        yield { productId: product.id, quantity: 0n };
      })(),
    );
    const seen: QuoteBasketResponse[] = [];
    for await (const quote of quotes) seen.push(quote);
    expect(seen.map(({ orderable, totals }) => [orderable, totals[0]?.currencyCode])).toEqual([
      [true, "EUR"],
      [false, "JPY"],
      [false, undefined],
    ]);
    expect(seen[2]).toEqual({ lines: [], totals: [], orderable: false, requestCount: 3n });
  });

  test("a basket has at most 100 lines, and amounts beyond google.type.Money are refused", async () => {
    const ask = async (requests: Iterable<{ productId: string; quantity: bigint }>): Promise<number> => {
      let count = 0;
      for await (const quote of inventory.quoteBasket(requests)) count = quote.lines.length;
      return count;
    };
    const lines = Array.from({ length: 100 }, () => ({ productId: newId(), quantity: 1n }));
    const more = { productId: "one-more", quantity: 1n };
    expect(await ask([...lines, ...lines.slice(0, 1)])).toBe(100);
    expect(await ask([...lines, { ...more, quantity: 0n }, { ...(lines[3] ?? more), quantity: 0n }, more])).toBe(100);
    expect(await callError(ask([...lines, more]))).toMatchObject({ code: 9, reason: "BASKET_FULL", domain: "product.v1" });
    const dear = await stocked(0, { price: { currencyCode: "JPY", units: 9_007_199_254_740_991n, nanos: 0 } });
    expect(await callError(ask([{ productId: dear.id, quantity: 1_000_000n }]))).toMatchObject({
      code: 11,
      reason: "AMOUNT_TOO_LARGE",
      domain: "product.v1",
    });
  });

  test(
    "a client that sends on and reads nothing is held back, and its cancel reaches the handler",
    { timeout: 30_000 },
    async () => {
      const { id } = await stocked(5);
      const lines = Array.from({ length: 99 }, () => ({ productId: newId(), quantity: 1n }));
      const cancel = new AbortController();
      let sent = 0;
      const givenBefore = quoting.byteCount;
      const bytesGiven = (): number => quoting.byteCount - givenBefore;
      const requests = (function* () {
        for (const line of lines) {
          sent++;
          yield line;
        }
        for (;;) {
          sent++;
          yield { productId: id, quantity: 1n };
        }
      })();
      const stream = inventory.quoteBasket(requests, { signal: cancel.signal })[Symbol.asyncIterator]();
      expect((await stream.next()).done).toBe(false);
      // It stands still once the answers fill what HTTP/2 lets through: nothing changes for a second.
      let [last, sinceMs] = [bytesGiven(), performance.now()];
      const startedMs = performance.now();
      while (performance.now() - sinceMs < 1_000 || performance.now() - startedMs < 3_000) {
        if (performance.now() - startedMs > 20_000) throw new Error("the handler never stands still");
        await systemClock.sleep(20);
        if (bytesGiven() !== last) [last, sinceMs] = [bytesGiven(), performance.now()];
      }
      // 64 KiB unsent and a window of HTTP/2 each way, and what the client has read ahead: less than 1 MB on either side.
      expect(bytesGiven()).toBeLessThan(1_000_000);
      expect(sent * QuoteBasketRequest.encode(lines[0] ?? { productId: id, quantity: 1n }).finish().length).toBeLessThan(
        1_000_000,
      );
      expect(quoting.openCount).toBe(1);
      cancel.abort();
      await eventually(() => quoting.openCount === 0, { timeoutMs: 100, intervalMs: 2 });
      const readOn = async (): Promise<void> => {
        while ((await stream.next()).done !== true);
      };
      expect(await callError(readOn())).toMatchObject({ code: 1 });
    },
  );
});
