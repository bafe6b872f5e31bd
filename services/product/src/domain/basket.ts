import { InventoryError } from "./inventory-error.ts";
import { toAmount } from "./price.ts";
import type { Amount, Price } from "./price.ts";
import type { ReservationLine } from "./reservation.ts";

/** Most lines of a basket: as many as one reservation may have. */
export const maxBasketLines = 100;

/** The lines of a basket by product, in the order in which they came. */
export type Basket = Map<string, number>;

/** Sets the units of one product; 0 takes it out. Problem: basket_full. */
export function setLine(basket: Basket, { productId, quantity }: ReservationLine): void {
  if (quantity === 0) basket.delete(productId);
  else if (basket.has(productId) || basket.size < maxBasketLines) basket.set(productId, quantity);
  else throw new InventoryError({ kind: "basket_full", maxLines: maxBasketLines });
}

/** What a product costs, and how many can be reserved. */
export interface QuotedProduct {
  readonly price: Price;
  readonly available: number;
}

/** A line with its price. Without one: there is no such product. */
export interface QuotedLine extends ReservationLine {
  readonly unitPrice: Amount | undefined;
  readonly linePrice: Amount | undefined;
  readonly inStock: boolean;
}

/** What a basket costs. */
export interface Quote {
  readonly lines: readonly QuotedLine[];
  /** One sum a currency, in the order of their codes. */
  readonly totals: readonly Amount[];
  /** Whether there is a line, and every one has a price and is in stock. */
  readonly orderable: boolean;
}

/** Prices a basket, exactly. Problem: amount_too_large. */
export function quote(basket: Basket, products: ReadonlyMap<string, QuotedProduct>): Quote {
  const sums = new Map<string, bigint>();
  const lines = [...basket].map(([productId, quantity]): QuotedLine => {
    const product = products.get(productId);
    if (product === undefined) return { productId, quantity, unitPrice: undefined, linePrice: undefined, inStock: false };
    const { currency, minor } = product.price;
    const unit = BigInt(minor);
    const line = unit * BigInt(quantity);
    sums.set(currency, (sums.get(currency) ?? 0n) + line);
    const inStock = product.available >= quantity;
    return { productId, quantity, unitPrice: toAmount(currency, unit), linePrice: sendable(currency, line), inStock };
  });
  // By code units: the codes are capital letters.
  const codes = [...sums.keys()].toSorted((a, b) => (a < b ? -1 : 1));
  const totals = codes.map((currency) => sendable(currency, sums.get(currency) ?? 0n));
  return { lines, totals, orderable: lines.length > 0 && lines.every(({ inStock }) => inStock) };
}

const maxUnits = 2n ** 63n - 1n;

/** An amount that google.type.Money can hold. */
function sendable(currency: string, minor: bigint): Amount {
  const amount = toAmount(currency, minor);
  if (amount.units > maxUnits) throw new InventoryError({ kind: "amount_too_large", currency });
  return amount;
}
