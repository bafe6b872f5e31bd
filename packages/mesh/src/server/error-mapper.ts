import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { toStatusBytes, wireDetail } from "../contract/status.ts";
import { pushMetadata } from "./answer-metadata.ts";

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

/**
 * The trailers of a call that fails, names and values in turn: those that the handler has set come first. Whatever the
 * strings of the error hold, the result fits the headers of HTTP/2.
 */
export function errorTrailers(error: MeshError, own: readonly string[] = []): string[] {
  const trailers = [...own, "grpc-status", String(error.code), "grpc-message", encodeURI(boundedMessage(error))];
  const details = boundedDetails(error);
  if (details !== undefined) trailers.push("grpc-status-details-bin", Buffer.from(details).toString("base64"));
  for (const [name, values] of Object.entries(error.metadata)) {
    for (const value of typeof values === "string" ? [values] : values) pushMetadata(trailers, name, value);
  }
  return trailers;
}

function boundedMessage(error: MeshError): string {
  const text = wireDetail(error);
  // Percent-encoded, one UTF-16 unit has up to 9 bytes.
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
