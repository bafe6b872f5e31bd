import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http2";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Metadata } from "../base/metadata.ts";

/** Headers that belong to HTTP/2 or gRPC, and are nobody's metadata. */
const transportHeaders: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-timeout",
  "host",
  "te",
  "trailer",
  "transfer-encoding",
]);

/** What the headers of a call say. Nothing in them makes a call fail: what is malformed is left out. */
export class CallHead {
  /** Address of the caller. */
  readonly peer: string;
  /** `grpc-timeout` as it came. */
  readonly timeout: string | undefined;
  /** `grpc-encoding` of the messages. */
  readonly encoding: string | undefined;
  /** The caller's `x-request-id` if it is well formed, or a new UUID. */
  readonly requestId: string;
  /** The caller's `traceparent` if it is well formed. */
  readonly traceparent: string | undefined;
  /** Size of all headers as SETTINGS_MAX_HEADER_LIST_SIZE counts: names, values and 32 bytes each (RFC 9113, 6.5.2). */
  readonly bytes: number;
  readonly #headers: IncomingHttpHeaders;
  #metadata: Metadata | undefined;

  constructor(headers: IncomingHttpHeaders, peer: string) {
    this.#headers = headers;
    this.peer = peer;
    this.timeout = textOf(headers["grpc-timeout"]);
    this.encoding = textOf(headers["grpc-encoding"]);
    this.requestId = parseRequestId(textOf(headers["x-request-id"])) ?? randomUUID();
    this.traceparent = parseTraceparent(textOf(headers["traceparent"]));
    let bytes = 0;
    for (const name in headers) bytes += name.length + (textOf(headers[name])?.length ?? 0) + 32;
    this.bytes = bytes;
  }

  /** 1 for the first attempt. */
  get attempt(): number {
    return parsePreviousAttempts(textOf(this.#headers["grpc-previous-rpc-attempts"])) + 1;
  }

  /** What the caller sent, without the headers of HTTP/2 and gRPC. Made when it is first asked for: few handlers do. */
  get metadata(): Metadata {
    return (this.#metadata ??= metadataOf(this.#headers));
  }
}

function textOf(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "object" ? value.join(",") : value;
}

function metadataOf(headers: IncomingHttpHeaders): Metadata {
  // Without a prototype, a header called `__proto__` is a name like any other.
  const metadata = Object.create(null) as Record<string, string | string[]>;
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value === undefined || name.charCodeAt(0) === 58 /* : */ || transportHeaders.has(name)) continue;
    metadata[name] = typeof value === "string" && name.endsWith("-bin") && value.includes(",") ? value.split(/,\s*/) : value;
  }
  return metadata;
}

const unitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Reads `grpc-timeout` (at most 8 digits and a unit, gRPC over HTTP/2) in ms. Throws INVALID_ARGUMENT when it is anything
 * else (grpc-js takes `x5S` and `-5S` for 5 s).
 */
export function parseTimeoutMs(text: string): number {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  if (digits !== undefined && unit !== undefined) return Number(digits) * (unitsMs[unit] ?? Number.NaN);
  throw new MeshError(Code.INVALID_ARGUMENT, "grpc-timeout is no number of at most 8 digits with a unit of H, M, S, m, u or n", {
    reason: "MALFORMED_REQUEST",
  });
}

/** The id if it is 1 to 128 visible ASCII characters, so that it fits a header and a log line. */
export function parseRequestId(text: string | undefined): string | undefined {
  return text !== undefined && /^[\x21-\x7e]{1,128}$/.test(text) ? text : undefined;
}

/** The value if it is a traceparent as W3C Trace Context, section 3.2 says; its version may be a later one. */
export function parseTraceparent(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const [, version, traceId, spanId, rest] =
    /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-[\da-f]{2}(-[\x21-\x7e]{0,256})?$/.exec(text) ?? [];
  const valid = version !== undefined && version !== "ff" && !/^0+$/.test(traceId ?? "0") && !/^0+$/.test(spanId ?? "0");
  return valid && (rest === undefined || version !== "00") ? text : undefined;
}

/** The count of earlier attempts (gRFC A6); 0 if it is absent or malformed. */
function parsePreviousAttempts(text: string | undefined): number {
  return text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : 0;
}
