/** A field of the product that breaks a rule which only this request makes known. */
export interface FieldProblem {
  /** Path in proto spelling, such as `product.name`. */
  readonly field: string;
  readonly rule: string;
  readonly why: string;
}

/** What can be wrong with a request that its contract allows. */
export type ProductProblem =
  | { readonly kind: "not_found"; readonly ids: readonly string[] }
  | { readonly kind: "etag_mismatch"; readonly id: string }
  | { readonly kind: "price_invalid"; readonly field: string; readonly why: string }
  | { readonly kind: "order_needs_currency" }
  | { readonly kind: "fields_invalid"; readonly fields: readonly FieldProblem[] }
  /** So many units of the product are reserved that it cannot go. */
  | { readonly kind: "reserved"; readonly id: string; readonly units: number };

/** Thrown for a problem; inside a transaction it rolls back. */
export class ProductError extends Error {
  readonly problem: ProductProblem;

  constructor(problem: ProductProblem) {
    super(problem.kind);
    this.name = "ProductError";
    this.problem = problem;
  }
}
