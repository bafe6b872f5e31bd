import { constants } from "node:http2";
import { Code } from "../base/code.ts";
import type { Code as StatusCode } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";

/** How an attempt ended that had no answer. */
export interface AttemptFailure {
  readonly error: MeshError;
  /** False: the attempt never reached a handler, so it can be made again whatever the method does. */
  readonly sent: boolean;
}

/** Makes UNAVAILABLE, reason CONNECTION_FAILED, of whatever Node says about a connection to `address`. */
export function fromNodeError(cause: unknown, address: string): MeshError {
  if (cause instanceof MeshError) return cause;
  const text = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : "the connection was closed";
  return new MeshError(Code.UNAVAILABLE, `connection to ${address}: ${text}`, { reason: "CONNECTION_FAILED", cause });
}

/** The error of a stream that its peer reset (PROTOCOL-HTTP2.md, "Errors"). */
export function fromResetCode(resetCode: number, address: string): MeshError {
  // The stream ended properly, and the call did not: trailers are missing.
  if (resetCode === constants.NGHTTP2_NO_ERROR)
    return new MeshError(Code.INTERNAL, `${address} ended the answer without a status`);
  const name = resetNames.get(resetCode) ?? String(resetCode);
  const code = codeOfReset(resetCode);
  return new MeshError(
    code,
    `${address} reset the call with ${name}`,
    code === Code.UNAVAILABLE ? { reason: "CONNECTION_FAILED" } : {},
  );
}

const resetNames: ReadonlyMap<number, string> = new Map(
  Object.entries({
    PROTOCOL_ERROR: constants.NGHTTP2_PROTOCOL_ERROR,
    INTERNAL_ERROR: constants.NGHTTP2_INTERNAL_ERROR,
    FLOW_CONTROL_ERROR: constants.NGHTTP2_FLOW_CONTROL_ERROR,
    STREAM_CLOSED: constants.NGHTTP2_STREAM_CLOSED,
    FRAME_SIZE_ERROR: constants.NGHTTP2_FRAME_SIZE_ERROR,
    REFUSED_STREAM: constants.NGHTTP2_REFUSED_STREAM,
    CANCEL: constants.NGHTTP2_CANCEL,
    COMPRESSION_ERROR: constants.NGHTTP2_COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM: constants.NGHTTP2_ENHANCE_YOUR_CALM,
    INADEQUATE_SECURITY: constants.NGHTTP2_INADEQUATE_SECURITY,
  }).map(([name, code]) => [code, name]),
);

function codeOfReset(resetCode: number): StatusCode {
  switch (resetCode) {
    case constants.NGHTTP2_REFUSED_STREAM:
      return Code.UNAVAILABLE;
    case constants.NGHTTP2_CANCEL:
      return Code.CANCELLED;
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return Code.RESOURCE_EXHAUSTED;
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return Code.PERMISSION_DENIED;
    default:
      return Code.INTERNAL;
  }
}
