import type { IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { fromWireStatus } from "../contract/status.ts";
import { FrameDecoder } from "./framing.ts";
import { answerMetadata, codeOfHttpStatus, decodeMessage, isGrpcContent } from "./headers.ts";
import type { RawHeaders } from "./headers.ts";

/** The status in trailers, or in headers that end the stream: undefined is OK. */
export function answerStatus(headers: IncomingHttpHeaders & IncomingHttpStatusHeader, raw: RawHeaders): MeshError | undefined {
  const status = headers["grpc-status"];
  if (status === "0") return undefined;
  if (typeof status !== "string") {
    const error = notGrpc(headers);
    return error ?? new MeshError(Code.UNKNOWN, "the answer has no grpc-status", { metadata: answerMetadata(raw) });
  }
  const message = headers["grpc-message"];
  const trailers = answerMetadata(raw);
  const bytes = trailers["grpc-status-details-bin"];
  return fromWireStatus({
    code: /^\d+$/.test(status) ? Number(status) : Code.UNKNOWN,
    message: typeof message === "string" ? decodeMessage(message) : "",
    trailers,
    ...(typeof bytes === "string" ? { statusBytes: Buffer.from(bytes, "base64") } : {}),
  });
}

/** The error of an answer that is none of gRPC: another HTTP status or content type. */
export function notGrpc(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): MeshError | undefined {
  const status = headers[":status"];
  if (status === undefined || (status === 200 && isGrpcContent(headers["content-type"]))) return undefined;
  const type = headers["content-type"] ?? "missing";
  return new MeshError(codeOfHttpStatus(status), `the answer is not gRPC: HTTP status ${status}, content-type ${type}`);
}

/** Reads the messages of the answer that these headers begin. */
export function answerDecoder(headers: IncomingHttpHeaders, maxBytes: number): FrameDecoder {
  const encoding = headers["grpc-encoding"];
  return new FrameDecoder("answer", maxBytes, typeof encoding === "string" ? encoding : undefined);
}
