import { Code } from "../base/code.ts";
import type { Code as StatusCode } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Metadata } from "../base/metadata.ts";

/** Names and values in turn, as node:http2 takes and gives them. */
export type RawHeaders = readonly string[];

// HTTP/2 forbids the first group (RFC 9113 8.2.2), gRPC owns the second; `grpc-` is gRPC's as a whole.
const reserved: ReadonlySet<string> = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "content-type",
  "te",
  "user-agent",
]);

const notInPath = /[^\x21-\x7e]/;
const notInValue = /[^\x20-\x7e]/;
const notInName = /[^0-9a-z_.-]/;

/**
 * The headers of a request, in the order that gRPC asks for (PROTOCOL-HTTP2.md). Reserved names of the metadata are left
 * out. Throws INVALID_ARGUMENT for a path, name or value that HTTP/2 could not carry, so that none can add a header.
 */
export function requestHeaders(path: string, authority: string, metadata: Metadata, leftMs: number): string[] {
  if (notInPath.test(path)) throw unfit(path, "path", "call");
  const headers = [
    ":method",
    "POST",
    ":scheme",
    "http",
    ":authority",
    authority,
    ":path",
    path,
    "te",
    "trailers",
    "content-type",
    "application/grpc",
    "user-agent",
    "protoloom",
    "grpc-accept-encoding",
    "gzip",
  ];
  if (leftMs !== Number.POSITIVE_INFINITY) headers.push("grpc-timeout", encodeTimeout(leftMs));
  for (const name in metadata) {
    const value = metadata[name];
    if (value === undefined || isReserved(name)) continue;
    if (notInName.test(name)) throw unfit(name, "name", "metadata");
    if (typeof value === "string") pushHeader(headers, name, value);
    else for (const one of value) pushHeader(headers, name, one);
  }
  return headers;
}

function pushHeader(headers: string[], name: string, value: string): void {
  if (notInValue.test(value)) throw unfit(name, "value", "metadata");
  headers.push(name, value);
}

function unfit(name: string, part: string, what: string): MeshError {
  const detail = `the ${part} of ${what} ${JSON.stringify(name)} has characters that HTTP/2 does not allow`;
  return new MeshError(Code.INVALID_ARGUMENT, detail, { reason: "MALFORMED_REQUEST" });
}

/** True: custom metadata may not have this name. */
export function isReserved(name: string): boolean {
  return name.startsWith("grpc-") || name.startsWith(":") || reserved.has(name);
}

const largestTimeout = 99_999_999;

/** `grpc-timeout`: at most eight digits and a unit, rounded up, at least 1 ms. */
export function encodeTimeout(leftMs: number): string {
  const ms = Math.max(1, Math.ceil(leftMs));
  if (ms <= largestTimeout) return `${ms}m`;
  const seconds = Math.ceil(ms / 1_000);
  if (seconds <= largestTimeout) return `${seconds}S`;
  const minutes = Math.ceil(seconds / 60);
  return minutes <= largestTimeout ? `${minutes}M` : `${Math.min(largestTimeout, Math.ceil(minutes / 60))}H`;
}

/** Custom metadata of an answer. Kept of gRPC's own names: `grpc-status-details-bin`. */
export function answerMetadata(raw: RawHeaders): Metadata {
  return headersByName(raw, (name) => !isReserved(name) || name === "grpc-status-details-bin");
}

/** Headers by their name; one that comes several times has an array. */
export function headersByName(raw: RawHeaders, isKept?: (name: string) => boolean): Record<string, string | string[]> {
  // No prototype: a name such as `__proto__` is a name like any other.
  const headers = Object.create(null) as Record<string, string | string[]>;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] as string;
    if (isKept?.(name) === false) continue;
    const value = raw[index + 1] as string;
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else if (typeof known === "string") headers[name] = [known, value];
    else known.push(value);
  }
  return headers;
}

/** Reads `grpc-message`: percent-encoded UTF-8. What is no valid escape stays as it is (PROTOCOL-HTTP2.md). */
export function decodeMessage(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // Some escape is broken: the good ones are decoded byte by byte.
    const bytes: number[] = [];
    for (let index = 0; index < text.length; index++) {
      const hex = text[index] === "%" ? text.slice(index + 1, index + 3) : "";
      if (/^[0-9a-fA-F]{2}$/.test(hex)) {
        bytes.push(Number.parseInt(hex, 16));
        index += 2;
      } else bytes.push(...Buffer.from(text[index] as string));
    }
    return Buffer.from(bytes).toString("utf8");
  }
}

/** The code of an HTTP answer that has no grpc-status (grpc/grpc doc/http-grpc-status-mapping.md). */
export function codeOfHttpStatus(status: number): StatusCode {
  switch (status) {
    case 400:
      return Code.INTERNAL;
    case 401:
      return Code.UNAUTHENTICATED;
    case 403:
      return Code.PERMISSION_DENIED;
    case 404:
      return Code.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return Code.UNAVAILABLE;
    default:
      return Code.UNKNOWN;
  }
}

/** True for `application/grpc` and its subtypes. */
export function isGrpcContent(contentType: string | undefined): boolean {
  if (contentType === undefined || !contentType.startsWith("application/grpc")) return false;
  const next = contentType[16];
  return next === undefined || next === "+" || next === ";";
}
