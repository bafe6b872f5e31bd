import type { ReservationState } from "./reservation.ts";

/** A line that asks for more than there is. */
export interface ShortLine {
  readonly productId: string;
  readonly asked: number;
  /** Units that could be had. */
  readonly available: number;
}

/** What can be wrong with a request to the inventory that its contract allows. */
export type InventoryProblem =
  | { readonly kind: "products_not_found"; readonly ids: readonly string[] }
  | { readonly kind: "stock_insufficient"; readonly lines: readonly ShortLine[] }
  | { readonly kind: "reservation_not_found"; readonly id: string }
  | { readonly kind: "reservation_ended"; readonly id: string; readonly state: ReservationState }
  | { readonly kind: "basket_full"; readonly maxLines: number }
  | { readonly kind: "amount_too_large"; readonly currency: string };

/** Thrown for a problem; inside a transaction it rolls back. */
export class InventoryError extends Error {
  readonly problem: InventoryProblem;

  constructor(problem: InventoryProblem) {
    super(problem.kind);
    this.name = "InventoryError";
    this.problem = problem;
  }
}
