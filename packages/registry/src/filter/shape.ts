/** What a filter may select of a row, by the names of the JSON answer. */
export type Shape =
  | { readonly kind: "text" | "integer" | "flag" | "texts" }
  | { readonly kind: "map"; readonly of: Shape }
  /** One object, or a list of them: a list matches when one of its objects does. */
  | { readonly kind: "struct" | "structs"; readonly fields: Readonly<Record<string, Shape>> };

/** Any text. */
export const text: Shape = { kind: "text" };
/** A whole number. */
export const integer: Shape = { kind: "integer" };
/** True or false. */
export const flag: Shape = { kind: "flag" };
/** A list of texts. */
export const texts: Shape = { kind: "texts" };
/** Texts by name. */
export const textMap: Shape = { kind: "map", of: text };

/** An object with named fields. */
export function struct(fields: Readonly<Record<string, Shape>>): Extract<Shape, { kind: "struct" | "structs" }> {
  return { kind: "struct", fields };
}
