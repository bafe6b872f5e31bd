/** What can be wrong with a request that its contract allows. */
export type UserProblem =
  | { readonly kind: "not_found"; readonly ids: readonly string[] }
  | { readonly kind: "email_taken" }
  | { readonly kind: "etag_mismatch"; readonly id: string }
  /** Fields of the user break rules that only this request makes known. */
  | { readonly kind: "fields_invalid"; readonly fields: readonly FieldProblem[] };

/** A rule that a field breaks, and the words for it. */
export interface FieldProblem {
  readonly field: "name" | "email";
  readonly rule: string;
  readonly why: string;
}

/** Thrown for a problem; inside a transaction it rolls back. */
export class UserError extends Error {
  readonly problem: UserProblem;

  constructor(problem: UserProblem) {
    super(problem.kind);
    this.name = "UserError";
    this.problem = problem;
  }
}
