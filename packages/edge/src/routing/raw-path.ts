import { isUtf8 } from "node:buffer";
import { malformedRequest } from "../errors/request-error.ts";

/** A request's target, cut at its first question mark. Nothing is normalized. */
export interface Target {
  readonly path: string;
  /** What follows the question mark; empty without one. */
  readonly query: string;
}

/** Cuts a target. Bytes beyond ASCII, which Node gives as Latin-1, are read as UTF-8. Throws INVALID_ARGUMENT if they are none. */
export function parseTarget(sent: string): Target {
  const target = isAscii(sent) ? sent : fromLatin1(sent);
  const mark = target.indexOf("?");
  return mark < 0 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}

function fromLatin1(text: string): string {
  const bytes = Buffer.from(text, "latin1");
  if (!isUtf8(bytes)) throw malformedRequest("the URL is no UTF-8");
  return bytes.toString("utf8");
}

/**
 * Splits a path on its raw slashes. Throws INVALID_ARGUMENT for a dot segment, also an escaped one (it is never resolved and
 * never passed on), for a percent sign without two hexadecimal digits, and for escapes that are no UTF-8.
 */
export function splitPath(path: string): string[] {
  const segments = path.slice(1).split("/");
  if (!path.includes("%") && !path.includes("/.")) return segments;
  for (const segment of segments) {
    const text = decodeEscapes(segment);
    if (text === "." || text === "..") throw malformedRequest("the path holds a dot segment");
  }
  return segments;
}

/** Decodes every escape, once. Throws INVALID_ARGUMENT for a broken one. */
export function decodeEscapes(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw malformedRequest(`${JSON.stringify(text)} holds a broken escape`, error);
  }
}

/** Decodes every escape but that of a slash, which stays as it was sent. */
export function decodeAllButSlash(text: string): string {
  return text.includes("%") ? decodeEscapes(text.replace(/%2f/gi, (escape) => `%25${escape.slice(1)}`)) : text;
}

/** Decodes a name or a value of a query: plus signs are spaces. */
export function decodeForm(text: string): string {
  return decodeEscapes(text.includes("+") ? text.replaceAll("+", " ") : text);
}
