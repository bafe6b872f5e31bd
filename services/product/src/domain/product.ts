import type { Price } from "./price.ts";
import { ProductError } from "./product-error.ts";

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

/** A text as it is kept: Unicode NFC, nothing trimmed. Problem: field_invalid. */
export function normalText(field: keyof typeof maxLength, text: string): string {
  const normal = text.normalize("NFC");
  if (Array.from(normal).length > maxLength[field]) {
    const why = `must be at most ${maxLength[field]} characters in Unicode NFC`;
    throw new ProductError({ kind: "field_invalid", field: `product.${field}`, rule: "string.max_len", why });
  }
  if (field === "name" && normal === "") {
    throw new ProductError({ kind: "field_invalid", field: "product.name", rule: "required", why: "name is required" });
  }
  return normal;
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
