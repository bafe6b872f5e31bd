import { deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Code } from "../base/code.ts";
import { FrameDecoder, frameMessage } from "./framing.ts";
import type { FrameSide } from "./framing.ts";
import { frame } from "./test-servers/raw-server.ts";

function decodeAll(
  chunks: readonly Buffer[],
  { side = "answer", maxBytes = 1_000, encoding }: { side?: FrameSide; maxBytes?: number; encoding?: string } = {},
): Buffer[] {
  const decoder = new FrameDecoder(side, maxBytes, encoding);
  const messages: Buffer[] = [];
  for (const chunk of chunks) decoder.push(chunk, { onMessage: (message) => messages.push(message) });
  return messages;
}

describe("frames", () => {
  test("come out as they went in, however they are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (messages, cuts) => {
          const bytes = Buffer.concat(messages.map(frameMessage));
          const chunks: Buffer[] = [];
          for (let offset = 0, cut = 0; offset < bytes.length; cut++) {
            const size = cuts[cut % cuts.length] as number;
            chunks.push(bytes.subarray(offset, offset + size));
            offset += size;
          }
          expect(decodeAll(chunks).map((message) => [...message])).toEqual(messages.map((message) => [...message]));
        },
      ),
    );
  });

  test("are not copied when they come whole", () => {
    const chunk = frameMessage(Buffer.from("whole"));
    expect(decodeAll([chunk])[0]?.buffer).toBe(chunk.buffer);
  });

  test("may have exactly the limit, and not one byte more", () => {
    expect(decodeAll([frameMessage(Buffer.alloc(1_000))])).toHaveLength(1);
    expect(() => decodeAll([frameMessage(Buffer.alloc(1_001))])).toThrow(
      expect.objectContaining({ code: Code.RESOURCE_EXHAUSTED, reason: "TOO_LARGE" }),
    );
  });

  test("with a length beyond the limit are refused before anything is stored", () => {
    const huge = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
    expect(() => decodeAll([huge])).toThrow(expect.objectContaining({ code: Code.RESOURCE_EXHAUSTED }));
    expect(() => decodeAll([...huge].map((byte) => Buffer.of(byte)))).toThrow(
      expect.objectContaining({ code: Code.RESOURCE_EXHAUSTED }),
    );
  });

  test("that are gzip are inflated, up to the limit", () => {
    expect(decodeAll([frame(gzipSync("inflated"), 1)], { encoding: "gzip" })[0]?.toString()).toBe("inflated");
    expect(decodeAll([frame(gzipSync(Buffer.alloc(1_000)), 1)], { encoding: "gzip" })[0]).toHaveLength(1_000);
    expect(() => decodeAll([frame(gzipSync(Buffer.alloc(1_001)), 1)], { encoding: "gzip" })).toThrow(
      expect.objectContaining({ code: Code.RESOURCE_EXHAUSTED }),
    );
    expect(decodeAll([frame(Buffer.from("plain"))], { encoding: "gzip" })[0]?.toString()).toBe("plain");
  });

  test("that are deflate are inflated, too", () => {
    expect(decodeAll([frame(deflateSync("inflated"), 1)], { encoding: "deflate" })[0]?.toString()).toBe("inflated");
  });

  test.each([
    ["zstd", Code.UNIMPLEMENTED, "UNSUPPORTED_MEDIA_TYPE"],
    ["constructor", Code.UNIMPLEMENTED, "UNSUPPORTED_MEDIA_TYPE"],
    ["identity", Code.INTERNAL, "MALFORMED_REQUEST"],
  ])("of a request that are compressed with %s are the caller's fault", (encoding, code, reason) => {
    expect(() => decodeAll([frame(Buffer.from("x"), 1)], { side: "request", encoding })).toThrow(
      expect.objectContaining({ code, reason }),
    );
  });

  test.each([
    ["compressed without an encoding", frame(gzipSync("x"), 1), undefined],
    ["compressed with an encoding that is not supported", frame(gzipSync("x"), 1), "zstd"],
    ["compressed, but garbage", frame(Buffer.from("garbage"), 1), "gzip"],
    ["with a flag that does not exist", frame(Buffer.from("x"), 2), undefined],
  ])("that are %s break the protocol", (_name, bytes, encoding) => {
    expect(() => decodeAll([bytes], encoding === undefined ? {} : { encoding })).toThrow(
      expect.objectContaining({ code: Code.INTERNAL }),
    );
  });

  test("that are not complete are known as such", () => {
    const decoder = new FrameDecoder("answer", 1_000, undefined);
    const bytes = frameMessage(Buffer.from("cut"));
    for (const end of [3, 6]) {
      const partial = new FrameDecoder("answer", 1_000, undefined);
      partial.push(bytes.subarray(0, end), { onMessage: () => {} });
      expect(partial.inMessage).toBe(true);
    }
    decoder.push(bytes, { onMessage: () => {} });
    expect(decoder.inMessage).toBe(false);
  });
});
