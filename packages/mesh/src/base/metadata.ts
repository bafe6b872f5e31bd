/**
 * Metadata of a call as HTTP/2 carries it: names in lower case; the value of a name that ends in `-bin` is base64.
 * A name that was sent several times has an array.
 */
export type Metadata = Readonly<Record<string, string | readonly string[]>>;

/** The first value of a name. */
export function firstValue(metadata: Metadata, name: string): string | undefined {
  const value = metadata[name];
  return typeof value === "string" ? value : value?.[0];
}
