import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { Metadata } from "@protoloom/mesh";

/** Request headers that go on to the service as metadata. A name that ends in `*` is a prefix. */
export const defaultForwardedHeaders: readonly string[] = ["authorization", "accept-language", "tracestate"];

/** Never from outside: what the mesh or HTTP itself says with these names, a client must not be able to say. */
const inside = /^(?::|grpc-|connect-|x-internal-|x-forwarded-|x-envoy-|x-protoloom-|proxy-|sec-)/;
const insideNames: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "date",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "te",
  "trailer",
  "trailers",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "via",
  "x-user-id",
  "x-roles",
  "x-tenant-id",
  "x-api-key-id",
  "x-principal",
  "x-request-id",
  "traceparent",
  "x-server-timeout",
]);
const metadataName = /^[a-z0-9_.-]{1,128}$/;
const printable = /^[\x20-\x7e]{0,8192}$/;
const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
const traceparent = /^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const grpcMetadata = "grpc-metadata-";

/** Picks the metadata that goes to the service out of a request's headers. */
export type ForwardHeaders = (headers: IncomingHttpHeaders, requestId: string) => Metadata;

/**
 * Compiles an allow list. `grpc-metadata-x` goes on as `x` whatever the list says; `traceparent` if it is well-formed; a name or
 * value that metadata cannot carry is dropped, and so is everything that only the mesh itself may say.
 */
export function createForwardHeaders(allowed: readonly string[]): ForwardHeaders {
  const names = allowed.filter((name) => !name.endsWith("*") && !isInside(name));
  const prefixes = allowed.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (headers, requestId) => {
    const metadata: Record<string, string | readonly string[]> = { "x-request-id": requestId };
    const trace = headers["traceparent"];
    if (typeof trace === "string" && traceparent.test(trace)) metadata["traceparent"] = trace;
    for (const name of names) add(metadata, name, headers[name]);
    for (const name in headers) {
      if (name.startsWith(grpcMetadata)) add(metadata, name.slice(grpcMetadata.length), headers[name]);
      else if (prefixes.some((prefix) => name.startsWith(prefix))) add(metadata, name, headers[name]);
    }
    const { connection } = headers;
    if (connection !== undefined) dropNominated(metadata, connection);
    return metadata;
  };
}

/** Fields that Connection names end here (RFC 9110 section 7.6.1). */
function dropNominated(metadata: Record<string, unknown>, connection: string): void {
  if (connection === "keep-alive" || connection === "close") return;
  for (const name of connection.toLowerCase().split(",")) delete metadata[name.trim()];
}

function isInside(name: string): boolean {
  return inside.test(name) || insideNames.has(name);
}

function add(metadata: Record<string, string | readonly string[]>, name: string, value: string | string[] | undefined): void {
  if (value === undefined || isInside(name) || !metadataName.test(name)) return;
  const form = name.endsWith("-bin") ? base64 : printable;
  const values = (typeof value === "string" ? [value] : value).filter((each) => form.test(each));
  if (values.length === 1) metadata[name] = values[0] ?? "";
  else if (values.length > 1) metadata[name] = values;
}

/** Metadata of an answer that clients may see: what the service itself has set. */
export function toResponseHeaders(metadata: Metadata, prefix: string): OutgoingHttpHeaders {
  let headers: Record<string, string | string[]> | undefined;
  for (const name in metadata) {
    if (isInside(name) || name === "server" || !metadataName.test(name)) continue;
    const value = metadata[name] ?? "";
    const values = (typeof value === "string" ? [value] : value).filter((each) => printable.test(each));
    if (values.length > 0) (headers ??= {})[prefix + name] = values.length === 1 ? (values[0] ?? "") : [...values];
  }
  return headers ?? noHeaders;
}

const noHeaders: OutgoingHttpHeaders = Object.freeze({});
