import { gunzipSync, inflateSync } from "node:zlib";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";

const prefixBytes = 5;

/** A message with gRPC's prefix in front of it: one flag byte (0: not compressed) and four bytes of length. */
export function frameMessage(message: Uint8Array): Buffer {
  const length = message.length;
  const frame = Buffer.allocUnsafe(prefixBytes + length);
  frame[0] = 0;
  frame[1] = length >>> 24;
  frame[2] = length >>> 16;
  frame[3] = length >>> 8;
  frame[4] = length;
  frame.set(message, prefixBytes);
  return frame;
}

/** Takes the messages of a stream. */
export interface MessageSink {
  onMessage(message: Buffer): void;
}

/** Whose messages are read: the caller's, of its request, or the server's, of its answer. */
export type FrameSide = "request" | "answer";

/** How a compressed message is inflated, by the name of its encoding (PROTOCOL-HTTP2.md, Message-Encoding). */
const inflaters: Readonly<Record<string, typeof gunzipSync>> = { gzip: gunzipSync, deflate: inflateSync };

/** The encodings that are read, as `grpc-accept-encoding` names them. */
export const acceptedEncodings: string = ["identity", ...Object.keys(inflaters)].join(",");

/** Cuts the bytes of a stream into messages, whatever the sizes of the chunks. A message within one chunk is not copied. */
export class FrameDecoder {
  readonly #side: FrameSide;
  readonly #maxBytes: number;
  readonly #encoding: string | undefined;
  /** What has come of a prefix that was cut. */
  #prefix: Buffer | undefined;
  #prefixFilled = 0;
  /** The message that is being filled. */
  #body: Buffer | undefined;
  #bodyFilled = 0;
  #compressed = false;

  /** `encoding` is the stream's `grpc-encoding`. */
  constructor(side: FrameSide, maxBytes: number, encoding: string | undefined) {
    this.#side = side;
    this.#maxBytes = maxBytes;
    this.#encoding = encoding;
  }

  /** True between the first and the last byte of a message. */
  get inMessage(): boolean {
    return this.#body !== undefined || this.#prefixFilled > 0;
  }

  /**
   * Takes the next bytes and gives each message that they complete. Throws MeshError: RESOURCE_EXHAUSTED for a message
   * above the limit, before it is stored; INTERNAL for one that breaks the protocol.
   */
  push(chunk: Buffer, sink: MessageSink): void {
    let offset = 0;
    while (offset < chunk.length || this.#body?.length === 0) {
      if (this.#body !== undefined) {
        offset += this.#fillBody(this.#body, chunk, offset);
        if (this.#bodyFilled === this.#body.length) sink.onMessage(this.#finish(this.#body));
        continue;
      }
      const left = chunk.length - offset;
      if (this.#prefixFilled === 0 && left >= prefixBytes) {
        const length = this.#readPrefix(chunk, offset);
        offset += prefixBytes;
        if (length <= chunk.length - offset) {
          sink.onMessage(this.#finish(chunk.subarray(offset, offset + length)));
          offset += length;
        } else this.#body = Buffer.allocUnsafe(length);
      } else offset += this.#fillPrefix(chunk, offset);
    }
  }

  #fillBody(body: Buffer, chunk: Buffer, offset: number): number {
    const copied = chunk.copy(body, this.#bodyFilled, offset);
    this.#bodyFilled += copied;
    return copied;
  }

  #fillPrefix(chunk: Buffer, offset: number): number {
    this.#prefix ??= Buffer.allocUnsafe(prefixBytes);
    const copied = chunk.copy(this.#prefix, this.#prefixFilled, offset);
    this.#prefixFilled += copied;
    if (this.#prefixFilled === prefixBytes) {
      this.#prefixFilled = 0;
      this.#body = Buffer.allocUnsafe(this.#readPrefix(this.#prefix, 0));
    }
    return copied;
  }

  #readPrefix(bytes: Buffer, offset: number): number {
    const flag = bytes[offset] as number;
    if (flag > 1) throw malformed(this.#side, `has the unknown flag ${flag}`);
    this.#compressed = flag === 1;
    const length = bytes.readUInt32BE(offset + 1);
    if (length > this.#maxBytes) throw tooLarge(this.#side, `${length} bytes`, this.#maxBytes);
    return length;
  }

  #finish(message: Buffer): Buffer {
    this.#body = undefined;
    this.#bodyFilled = 0;
    return this.#compressed ? this.#inflate(message) : message;
  }

  #inflate(message: Buffer): Buffer {
    const side = this.#side;
    const encoding = this.#encoding ?? "identity";
    if (encoding === "identity") throw malformed(side, "is compressed, but its stream names no encoding");
    const inflate = Object.hasOwn(inflaters, encoding) ? inflaters[encoding] : undefined;
    if (inflate === undefined) throw unsupported(side, encoding);
    if (message.length === 0) return message;
    try {
      return inflate(message, { maxOutputLength: this.#maxBytes });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
        throw tooLarge(side, "more than that when inflated", this.#maxBytes);
      }
      throw malformed(side, "cannot be inflated", cause);
    }
  }
}

function tooLarge(side: FrameSide, size: string, maxBytes: number): MeshError {
  return new MeshError(Code.RESOURCE_EXHAUSTED, `a message of the ${side} has ${size}; the limit is ${maxBytes} bytes`, {
    reason: "TOO_LARGE",
  });
}

function malformed(side: FrameSide, what: string, cause?: unknown): MeshError {
  return new MeshError(Code.INTERNAL, `a message of the ${side} ${what}`, {
    cause,
    ...(side === "request" ? { reason: "MALFORMED_REQUEST" } : {}),
  });
}

/** A server says that it does not know the encoding; a client was promised one that it accepts. */
function unsupported(side: FrameSide, encoding: string): MeshError {
  const what = `is compressed with ${JSON.stringify(encoding)}; supported are ${acceptedEncodings}`;
  if (side === "answer") return malformed(side, what);
  return new MeshError(Code.UNIMPLEMENTED, `a message of the request ${what}`, { reason: "UNSUPPORTED_MEDIA_TYPE" });
}
