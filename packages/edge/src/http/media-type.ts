/** A media type without its parameters, in lower case, and whether its character set is one that JSON may have. */
export interface MediaType {
  readonly type: string;
  readonly isUtf8: boolean;
}

const json: MediaType = { type: "application/json", isUtf8: true };

/** Reads a Content-Type. */
export function parseMediaType(text: string): MediaType {
  if (text === "application/json") return json;
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice("charset=".length);
  return { type, isUtf8: charset === undefined || charset === "utf-8" || charset === '"utf-8"' || charset === "utf8" };
}

/** True for application/json and every `+json` type, in UTF-8. */
export function isJson({ type, isUtf8 }: MediaType): boolean {
  return isUtf8 && (type === "application/json" || /^[\w.+-]+\/[\w.+-]+\+json$/.test(type));
}
