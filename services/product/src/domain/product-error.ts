/** What can be wrong with a request that its contract allows. */
export type ProductProblem =
  | { readonly kind: "not_found"; readonly ids: readonly string[] }
  | { readonly kind: "etag_mismatch"; readonly id: string }
  | { readonly kind: "price_invalid"; readonly field: string; readonly why: string }
  | { readonly kind: "order_needs_currency" }
  /** A field of the product breaks a rule that only this request makes known. */
  | { readonly kind: "field_invalid"; readonly field: string; readonly rule: string; readonly why: string };

/** Thrown for a problem; inside a transaction it rolls back. */
export class ProductError extends Error {
  readonly problem: ProductProblem;

  constructor(problem: ProductProblem) {
    super(problem.kind);
    this.name = "ProductError";
    this.problem = problem;
  }
}
