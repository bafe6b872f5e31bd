import { InventoryService } from "@protoloom/contracts";
import { ReservationState as WireState } from "@protoloom/contracts/product/v1";
import type {
  QuoteBasketRequest,
  QuoteBasketResponse,
  Reservation as WireReservation,
  Stock as WireStock,
} from "@protoloom/contracts/product/v1";
import { Code, implement, MeshError } from "@protoloom/mesh";
import type { Implementation } from "@protoloom/mesh";
import { resourcesNotFound } from "@protoloom/mesh/data";
import type { Idempotency } from "@protoloom/mesh/data";
import { quote, setLine } from "./domain/basket.ts";
import type { Basket } from "./domain/basket.ts";
import { InventoryError } from "./domain/inventory-error.ts";
import type { InventoryProblem, ShortLine } from "./domain/inventory-error.ts";
import type { Reservation, ReservationState } from "./domain/reservation.ts";
import { available } from "./domain/stock.ts";
import type { Stock } from "./domain/stock.ts";
import type { InventoryStore } from "./store/inventory-store.ts";
import type { ProductTables } from "./store/migrations.ts";
import type { ReservationStore } from "./store/reservation-store.ts";

const domain = "product.v1";
const { definition } = InventoryService;

/** How long a reservation holds when its request says 0, in seconds. */
const defaultHoldSeconds = 900;

/** Most lines whose stock an error tells: it has to fit the trailers. */
const maxToldLines = 50;

/** What the service is made of. */
export interface InventoryServiceOptions {
  readonly inventory: InventoryStore;
  readonly reservations: ReservationStore;
  readonly idempotency: Idempotency<ProductTables>;
  /** What a failure of the database becomes for the caller. */
  readonly toStoreError: (error: unknown) => unknown;
}

/** The inventory service between the wire and its stores. */
export function createInventoryService(options: InventoryServiceOptions): Implementation {
  const { inventory, reservations, idempotency, toStoreError } = options;
  const answer = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw error instanceof InventoryError ? toMeshError(error.problem) : toStoreError(error);
    }
  };
  return implement(InventoryService, {
    getStock: async ({ productId }) => await answer(async () => toWireStock(await inventory.get(productId))),
    adjustStock: async (request) =>
      await answer(async () => {
        const { productId, reason } = request;
        const adjustment = { productId, reason, delta: Number(request.delta) };
        return await idempotency.run(definition.adjustStock, request, async (trx) =>
          toWireStock(await inventory.adjust(trx, adjustment)),
        );
      }),
    reserveStock: async (request) =>
      await answer(async () => {
        const lines = request.lines.map(({ productId, quantity }) => ({ productId, quantity: Number(quantity) }));
        const holdMs = (request.holdSeconds === 0 ? defaultHoldSeconds : request.holdSeconds) * 1_000;
        return await idempotency.run(definition.reserveStock, request, async (trx) =>
          toWireReservation(await reservations.reserve(trx, lines, holdMs)),
        );
      }),
    commitReservation: async (request) =>
      await answer(
        async () =>
          await idempotency.run(definition.commitReservation, request, async (trx) =>
            toWireReservation(await reservations.commit(trx, request.id)),
          ),
      ),
    releaseReservation: async (request) =>
      await answer(
        async () =>
          await idempotency.run(definition.releaseReservation, request, async (trx) =>
            toWireReservation(await reservations.release(trx, request.id)),
          ),
      ),
    listReservations: async (request) =>
      await answer(async () => {
        const found = await reservations.list({ ...request, state: fromWireState(request.state) });
        return { reservations: found.reservations.map(toWireReservation), nextPageToken: found.nextPageToken };
      }),
    async *quoteBasket(requests) {
      const basket: Basket = new Map();
      let requestCount = 0n;
      // One is read when the quote before has been taken: what waits beyond is the client's, and HTTP/2 holds it there.
      for await (const request of requests) {
        requestCount++;
        const quoted = await answer(async () => await quoteWith(basket, request, inventory));
        yield { ...quoted, requestCount };
      }
    },
  });
}

async function quoteWith(
  basket: Basket,
  { productId, quantity }: QuoteBasketRequest,
  inventory: InventoryStore,
): Promise<Omit<QuoteBasketResponse, "requestCount">> {
  setLine(basket, { productId, quantity: Number(quantity) });
  const offers = await inventory.offers([...basket.keys()]);
  const products = offers.map((offer) => [offer.productId, { price: offer.price, available: available(offer.stock) }] as const);
  const { lines, totals, orderable } = quote(basket, new Map(products));
  return { lines: lines.map((line) => ({ ...line, quantity: BigInt(line.quantity) })), totals: [...totals], orderable };
}

function toWireStock(stock: Stock): WireStock {
  return {
    productId: stock.productId,
    onHand: BigInt(stock.onHand),
    reserved: BigInt(stock.reserved),
    available: BigInt(available(stock)),
    updateTime: stock.updateMs === undefined ? undefined : new Date(stock.updateMs),
  };
}

function toWireReservation({ id, lines, state, createMs, expireMs }: Reservation): WireReservation {
  return {
    id,
    lines: lines.map(({ productId, quantity }) => ({ productId, quantity: BigInt(quantity) })),
    state: wireStates[state],
    createTime: new Date(createMs),
    expireTime: new Date(expireMs),
  };
}

const wireStates: Readonly<Record<ReservationState, WireState>> = {
  held: WireState.RESERVATION_STATE_HELD,
  committed: WireState.RESERVATION_STATE_COMMITTED,
  released: WireState.RESERVATION_STATE_RELEASED,
  expired: WireState.RESERVATION_STATE_EXPIRED,
};

/** The state that is asked for, or undefined for any. The contract lets in no other number. */
function fromWireState(wire: WireState): ReservationState | undefined {
  return (Object.keys(wireStates) as ReservationState[]).find((state) => wireStates[state] === wire);
}

function toMeshError(problem: InventoryProblem): MeshError {
  const refused = (reason: string, message: string, info: Readonly<Record<string, string>> = {}): MeshError =>
    new MeshError(Code.FAILED_PRECONDITION, message, { reason, domain, info });
  switch (problem.kind) {
    case "products_not_found":
      return resourcesNotFound(problem.ids, { noun: "product", reason: "PRODUCT_NOT_FOUND", domain });
    case "stock_insufficient":
      return refused("STOCK_INSUFFICIENT", `too little stock of ${shortText(problem.lines)}`, shortInfo(problem.lines));
    case "reservation_not_found":
      return resourcesNotFound([problem.id], { noun: "reservation", reason: "RESERVATION_NOT_FOUND", domain });
    case "reservation_ended":
      return refused("RESERVATION_ENDED", `reservation ${problem.id} is ${problem.state}`, { state: problem.state });
    case "basket_full":
      return refused("BASKET_FULL", `a basket has at most ${problem.maxLines} lines`);
    case "amount_too_large":
      return new MeshError(Code.OUT_OF_RANGE, `an amount in ${problem.currency} is larger than google.type.Money can hold`, {
        reason: "AMOUNT_TOO_LARGE",
        domain,
        info: { currency_code: problem.currency },
      });
  }
}

function shortText(lines: readonly ShortLine[]): string {
  const [first, ...more] = lines.slice(0, 3).map((line) => `${line.productId}: ${line.asked} asked, ${line.available} available`);
  if (lines.length > 3) return `${lines.length} products (${first}; …)`;
  return [first, ...more].join("; ");
}

function shortInfo(lines: readonly ShortLine[]): Readonly<Record<string, string>> {
  const product_ids = lines.map(({ productId }) => productId).join(",");
  return lines.length > maxToldLines
    ? { product_ids }
    : { product_ids, available: lines.map((line) => line.available).join(",") };
}
