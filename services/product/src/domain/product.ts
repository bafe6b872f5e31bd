import type { Price } from "./price.ts";
import type { FieldProblem } from "./product-error.ts";

/** A product as the service knows it. Times are ms since 1970. */
export interface Product {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  /** Empty: none. */
  readonly category: string;
  readonly price: Price;
  readonly createMs: number;
  readonly updateMs: number;
  /** 1 for a product that never changed; rises by one with each change. */
  readonly version: number;
}

/** What a caller sets. */
export type ProductFields = Pick<Product, "name" | "description" | "category" | "price">;

/** Most code points of each text. Normalising can make a text longer than the contract let in. */
const maxLength = { name: 200, description: 10_000, category: 100 } as const;

/** A text as it is kept: Unicode NFC, nothing trimmed. */
export function normalText(text: string): string {
  return text.normalize("NFC");
}

/** What is wrong with the fields that a caller sets: texts as they are kept, and whether there is a price. */
export function fieldProblems(
  fields: Partial<Record<keyof typeof maxLength, string>> & { price?: unknown },
): readonly FieldProblem[] {
  const problems: FieldProblem[] = [];
  const add = (field: keyof ProductFields, rule: string, why: string): void =>
    void problems.push({ field: `product.${field}`, rule, why });
  for (const field of ["name", "description", "category"] as const) {
    if (Array.from(fields[field] ?? "").length > maxLength[field])
      add(field, "string.max_len", `must be at most ${maxLength[field]} characters in Unicode NFC`);
  }
  if (fields.name === "") add("name", "required", "name is required");
  if ("price" in fields && fields.price === undefined) add("price", "required", "price is required");
  return problems;
}

/** Stands between the texts of a product, so that nothing matches across them. `fold` lets it appear nowhere else. */
const separator = "\u0001";

/** What text is searched for or searched in: without regard to case, and to the forms of one letter (Unicode NFKC). */
export function fold(text: string): string {
  // Lower case makes two letters of one Greek sigma, by its place in the word.
  return text.replaceAll(separator, " ").normalize("NFKC").toLowerCase().replaceAll("ς", "σ").normalize("NFKC");
}

/** The text that a product is found by. */
export function searchText({ name, description }: Pick<Product, "name" | "description">): string {
  return `${fold(name)}${separator}${fold(description)}`;
}
