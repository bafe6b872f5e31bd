import type { IncomingHttpHeaders } from "node:http2";
import { v7 as uuidv7 } from "uuid";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { firstValue } from "../base/metadata.ts";
import type { Metadata } from "../base/metadata.ts";

/** What the headers of a call say. */
export interface CallHead {
  /** What the caller sent, without the headers of HTTP/2 and gRPC. */
  readonly metadata: Metadata;
  /** `grpc-timeout` as it came. */
  readonly timeout: string | undefined;
  /** The caller's `x-request-id` if it is well formed, or a new UUIDv7. */
  readonly requestId: string;
  /** The caller's `traceparent` if it is well formed. */
  readonly traceparent: string | undefined;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** Address of the caller. */
  readonly peer: string;
  /** Size of all headers as SETTINGS_MAX_HEADER_LIST_SIZE counts: names, values and 32 bytes each (RFC 9113, 6.5.2). */
  readonly bytes: number;
}

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

/** Reads the headers of a call. Nothing in them makes it fail: what is malformed is left out. */
export function readCallHead(headers: IncomingHttpHeaders, peer: string, newId: () => string = uuidv7): CallHead {
  // Without a prototype, a header called `__proto__` is a name like any other.
  const metadata = Object.create(null) as Record<string, string | string[]>;
  let bytes = 0;
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    bytes += name.length + (value?.length ?? 0) + 32;
    if (value === undefined || name.charCodeAt(0) === 58 /* : */ || transportHeaders.has(name)) continue;
    metadata[name] = typeof value === "string" && name.endsWith("-bin") && value.includes(",") ? value.split(/,\s*/) : value;
  }
  const timeout = headers["grpc-timeout"];
  return {
    metadata,
    timeout: Array.isArray(timeout) ? timeout.join(",") : timeout,
    requestId: parseRequestId(firstValue(metadata, "x-request-id")) ?? newId(),
    traceparent: parseTraceparent(firstValue(metadata, "traceparent")),
    attempt: parsePreviousAttempts(firstValue(metadata, "grpc-previous-rpc-attempts")) + 1,
    peer,
    bytes,
  };
}

/** Makes UUIDv7 ids from random bytes that are drawn for 256 ids at once: drawing is most of their cost. */
export function createRequestIds(): () => string {
  const pool = new Uint8Array(16 * 256);
  let next = pool.length;
  return () => {
    if (next === pool.length) {
      crypto.getRandomValues(pool);
      next = 0;
    }
    const random = pool.subarray(next, (next += 16));
    return uuidv7({ random });
  };
}

const unitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Reads `grpc-timeout` (at most 8 digits and a unit, gRPC over HTTP/2) in ms. Throws INVALID_ARGUMENT when it is anything
 * else. grpc-js' own reader is not used: it takes `x5S` and `-5S` for 5 s, and beyond 2^31 ms its timer fires at once.
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
