import { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import { Code, toCode } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Metadata } from "../base/metadata.ts";
import { toStatusBytes, wireDetail } from "../contract/status.ts";

/** The status of a call as grpc-js sends it. */
export interface WireEnding {
  readonly code: Code;
  readonly details: string;
  readonly metadata: GrpcMetadata;
}

/** The most that travels of a message once it is percent-encoded, in bytes: some peers take headers of 8 KiB in all. */
const maxMessageBytes = 2_048;

/** The most that travels of details, in bytes before base64. */
const maxDetailsBytes = 4_096;

/**
 * The error of whatever a handler threw. An exception that is no MeshError says nothing to the caller: its text may hold
 * anything. It is the `cause`, for the log.
 */
export function toMeshError(thrown: unknown): MeshError {
  if (thrown instanceof MeshError && thrown.code !== Code.OK) return thrown;
  return new MeshError(Code.INTERNAL, "an internal fault, which the log of the service describes", {
    reason: "INTERNAL_FAULT",
    cause: thrown,
  });
}

/** The status that is sent for an error. Whatever its strings hold, the result fits the headers of HTTP/2. */
export function toWireEnding(error: MeshError, trailers: GrpcMetadata | undefined): WireEnding {
  const metadata = trailers ?? new GrpcMetadata();
  addMetadata(metadata, error.metadata);
  const details = boundedDetails(error);
  if (details !== undefined) metadata.set("grpc-status-details-bin", Buffer.from(details));
  return { code: error.code, details: boundedMessage(error), metadata };
}

/** Adds what may travel: names and values that gRPC allows, and no header of gRPC or HTTP/2 itself. */
function addMetadata(target: GrpcMetadata, source: Metadata): void {
  for (const [name, values] of Object.entries(source)) {
    if (!isCustomName(name)) continue;
    for (const value of typeof values === "string" ? [values] : values) {
      if (name.endsWith("-bin")) target.add(name, Buffer.from(value, "base64"));
      else if (/^[ -~]*$/.test(value)) target.add(name, value);
    }
  }
}

/** True for a name that a handler may set, and that may be passed on: gRPC's own names and HTTP's are taken. */
export function isCustomName(name: string): boolean {
  return /^[0-9a-z_.-]+$/.test(name) && !name.startsWith("grpc-") && !/^(?:content-type|date|te|trailer|connection)$/.test(name);
}

function boundedMessage(error: MeshError): string {
  const text = wireDetail(error);
  // grpc-js percent-encodes with encodeURI: up to 9 bytes for one UTF-16 unit.
  const encodedBytes = encodeURI(text).length;
  if (encodedBytes <= maxMessageBytes) return text;
  return `${text.slice(0, Math.floor((text.length * maxMessageBytes) / encodedBytes)).toWellFormed()}…`;
}

/** google.rpc.Status of the error; of an error that is too large only what tells it from others. */
function boundedDetails(error: MeshError): Uint8Array | undefined {
  const reduced = { domain: error.domain, ...(error.reason === undefined ? {} : { reason: error.reason }) };
  const detail = boundedMessage(error);
  for (const candidate of [error, new MeshError(error.code, detail, reduced)]) {
    const bytes = toStatusBytes(candidate);
    if (bytes === undefined || bytes.length <= maxDetailsBytes) return bytes;
  }
  return undefined;
}

/**
 * The error of a call that grpc-js itself ends, before a handler sees it: a message above the limit, or one that cannot be
 * decompressed.
 */
export function fromGrpcEnding(code: number | undefined, details: string | undefined): MeshError {
  const known = toCode(code ?? Code.UNKNOWN);
  return new MeshError(known, details ?? "the call broke", { reason: reasonOf(known) });
}

function reasonOf(code: Code): string {
  switch (code) {
    case Code.RESOURCE_EXHAUSTED:
      return "TOO_LARGE";
    case Code.UNIMPLEMENTED:
      return "UNSUPPORTED_MEDIA_TYPE";
    default:
      return "MALFORMED_REQUEST";
  }
}
