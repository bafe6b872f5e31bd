import { brotliDecompress, gunzip } from "node:zlib";
import { Code, MeshError } from "@protoloom/mesh";
import { HttpFault, malformedRequest, tooLarge } from "../errors/request-error.ts";
import type { Exchange } from "./exchange.ts";

/** The content codings that are undone. */
export const contentCodings = "gzip, br, identity";

/** The error of a content coding that is not known; each protocol has an HTTP status of its own for it. */
export class UnknownCoding extends Error {
  readonly coding: string;

  constructor(coding: string) {
    super(`the content coding ${JSON.stringify(coding)} is not known; known are ${contentCodings}`);
    this.name = "UnknownCoding";
    this.coding = coding;
  }

  /** 415: for REST. */
  toUnsupportedMediaType(): HttpFault {
    const error = new MeshError(Code.INVALID_ARGUMENT, this.message, { reason: "UNSUPPORTED_MEDIA_TYPE" });
    return new HttpFault(415, error, { "accept-encoding": contentCodings });
  }

  /** 501: for Connect. */
  toUnimplemented(): HttpFault {
    const error = new MeshError(Code.UNIMPLEMENTED, this.message, { reason: "UNSUPPORTED_MEDIA_TYPE" });
    return new HttpFault(501, error, { "accept-encoding": contentCodings });
  }
}

/**
 * Reads a request's body and undoes its content coding. `maxBytes` bounds what comes over the wire and what it inflates to.
 * Rejects with RESOURCE_EXHAUSTED above it, with UnknownCoding, and with INVALID_ARGUMENT for bytes that are not of their coding.
 */
export async function readRequestBody(exchange: Exchange, maxBytes: number): Promise<Uint8Array> {
  const coding = exchange.headers["content-encoding"] ?? "identity";
  if (coding !== "identity" && coding !== "gzip" && coding !== "br") throw new UnknownCoding(coding);
  const bytes = await exchange.readBody(maxBytes);
  return coding === "identity" || bytes.length === 0 ? bytes : inflate(bytes, coding, maxBytes);
}

/** Inflates bytes of a coding, up to `maxBytes`. Rejects as readRequestBody does. */
export function inflate(bytes: Uint8Array, coding: "gzip" | "br", maxBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const done = (error: NodeJS.ErrnoException | null, result: Buffer): void => {
      if (error === null) resolve(result);
      else if (error.code === "ERR_BUFFER_TOO_LARGE") reject(tooLarge(`the body inflates to more than ${maxBytes} bytes`));
      else reject(malformedRequest(`the body is no ${coding}`, error));
    };
    if (coding === "gzip") gunzip(bytes, { maxOutputLength: maxBytes }, done);
    else brotliDecompress(bytes, { maxOutputLength: maxBytes }, done);
  });
}
