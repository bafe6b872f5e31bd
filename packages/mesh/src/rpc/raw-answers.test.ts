import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { toStatusBytes } from "../contract/status.ts";
import { createStaticResolver } from "../discovery/static-resolver.ts";
import { createTransport } from "./create-transport.ts";
import { answer, frame, startRawServer } from "./test-servers/raw-server.ts";
import type { RawHandler } from "./test-servers/raw-server.ts";
import type { ByteCall, UnaryAnswer } from "./transport.ts";

const call = (): ByteCall => ({ path: "/raw.v1.Raw/Call", metadata: {}, deadline: performance.now() + 5_000 });

/** What both kinds of calls make of one answer: the message, or the error. */
async function callBoth(handler: RawHandler): Promise<readonly (UnaryAnswer | readonly string[] | MeshError)[]> {
  await using server = await startRawServer(handler);
  await using transport = createTransport({ resolver: createStaticResolver() });
  const service = transport.endpoint(server.endpoint);
  const asError = (error: unknown): MeshError => {
    if (error instanceof MeshError) return error;
    throw error;
  };
  const unary = await service.unary(call(), Buffer.from("ask")).catch(asError);
  const stream = service.stream(call());
  await stream.send(Buffer.from("ask")).catch(asError);
  stream.end();
  const messages: string[] = [];
  const streamed = await (async () => {
    for await (const message of stream.messages) messages.push(Buffer.from(message).toString());
    return messages;
  })().catch(asError);
  return [unary, streamed];
}

const errors: readonly (readonly [string, RawHandler, Partial<MeshError>])[] = [
  [
    "trailers only, with a message that is percent-encoded",
    (stream) =>
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-status": "5", "grpc-message": "no %C3%BCser 100%25" },
        { endStream: true },
      ),
    { code: Code.NOT_FOUND, detail: "no üser 100%" },
  ],
  [
    "a status that is no number",
    (stream) => answer(stream, frame(Buffer.from("x")), { trailers: { "grpc-status": "abc" } }),
    { code: Code.UNKNOWN },
  ],
  [
    "a status that is no code",
    (stream) => answer(stream, frame(Buffer.from("x")), { trailers: { "grpc-status": "99" } }),
    { code: Code.UNKNOWN },
  ],
  [
    "trailers without status",
    (stream) => answer(stream, frame(Buffer.from("x")), { trailers: { "x-other": "1" } }),
    { code: Code.UNKNOWN },
  ],
  [
    "HTTP 503 with a text body",
    (stream) => {
      stream.respond({ ":status": 503, "content-type": "text/plain" });
      stream.end("no healthy upstream");
    },
    { code: Code.UNAVAILABLE },
  ],
  ["HTTP 404 without body", (stream) => stream.respond({ ":status": 404 }, { endStream: true }), { code: Code.UNIMPLEMENTED }],
  [
    "HTML with status 200",
    (stream) => {
      stream.respond({ ":status": 200, "content-type": "text/html" });
      stream.end("<p>hello</p>");
    },
    { code: Code.UNKNOWN },
  ],
  [
    "a message of 5 MiB",
    (stream) => answer(stream, frame(Buffer.alloc(5 * 1024 * 1024))),
    { code: Code.RESOURCE_EXHAUSTED, reason: "TOO_LARGE" },
  ],
  [
    "a message that inflates to 50 MiB",
    (stream) => answer(stream, frame(gzipSync(Buffer.alloc(50 * 1024 * 1024)), 1), { headers: { "grpc-encoding": "gzip" } }),
    { code: Code.RESOURCE_EXHAUSTED, reason: "TOO_LARGE" },
  ],
  ["a compressed message without encoding", (stream) => answer(stream, frame(gzipSync("x"), 1)), { code: Code.INTERNAL }],
  ["an unknown flag", (stream) => answer(stream, frame(Buffer.from("x"), 7)), { code: Code.INTERNAL }],
  ["the end within a message", (stream) => answer(stream, frame(Buffer.from("whole")).subarray(0, 8)), { code: Code.INTERNAL }],
  [
    "a message, and the end without trailers",
    (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.end(frame(Buffer.from("x")));
    },
    { code: Code.INTERNAL },
  ],
  ["a reset with CANCEL", (stream) => stream.close(8), { code: Code.CANCELLED }],
  ["a reset with PROTOCOL_ERROR", (stream) => stream.close(1), { code: Code.INTERNAL }],
  ["a reset with ENHANCE_YOUR_CALM", (stream) => stream.close(11), { code: Code.RESOURCE_EXHAUSTED }],
  [
    "half an answer and the end of the connection",
    (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.write(frame(Buffer.from("x")).subarray(0, 3), () => stream.session?.destroy());
    },
    { code: Code.UNAVAILABLE, reason: "CONNECTION_FAILED" },
  ],
  [
    "details that are garbage",
    (stream) => answer(stream, [], { trailers: { "grpc-status": "9", "grpc-message": "m", "grpc-status-details-bin": "!!!!" } }),
    { code: Code.FAILED_PRECONDITION, detail: "m", details: [] },
  ],
];

describe("an answer", () => {
  test.each(errors)("that is %s becomes its error", async (_name, handler, expected) => {
    for (const outcome of await callBoth(handler)) expect(outcome).toEqual(expect.objectContaining(expected));
  });

  test("in DATA frames of one byte is put together", async () => {
    const bytes = [...frame(Buffer.from("byte by byte"))].map((byte) => Buffer.of(byte));
    const [unary, streamed] = await callBoth((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      const next = (): void => {
        const byte = bytes[written++];
        if (byte === undefined) stream.end();
        else stream.write(byte, () => setImmediate(next));
      };
      let written = 0;
      next();
    });
    expect(Buffer.from((unary as UnaryAnswer).message).toString()).toBe("byte by byte");
    expect(streamed).toEqual(["byte by byte"]);
  });

  test("that is compressed is inflated", async () => {
    const [unary, streamed] = await callBoth((stream) =>
      answer(stream, frame(gzipSync("small"), 1), { headers: { "grpc-encoding": "gzip" } }),
    );
    expect(Buffer.from((unary as UnaryAnswer).message).toString()).toBe("small");
    expect(streamed).toEqual(["small"]);
  });

  test("brings headers and trailers", async () => {
    const [unary] = await callBoth((stream) =>
      answer(stream, frame(Buffer.from("x")), { headers: { "x-head": "1" }, trailers: { "grpc-status": "0", "x-tail": "2" } }),
    );
    expect(unary).toMatchObject({ headers: { "x-head": "1" }, trailers: { "x-tail": "2" } });
  });

  test("with status details brings the reason and the trailers", async () => {
    const status = toStatusBytes(
      new MeshError(Code.ABORTED, "etag", { reason: "ETAG_MISMATCH", domain: "user.v1", info: { id: "7" } }),
    );
    const trailers = {
      "grpc-status": "10",
      "grpc-message": "etag",
      "grpc-status-details-bin": Buffer.from(status ?? []).toString("base64"),
      "x-tail": "2",
    };
    for (const outcome of await callBoth((stream) => answer(stream, [], { trailers }))) {
      expect(outcome).toMatchObject({
        code: Code.ABORTED,
        reason: "ETAG_MISMATCH",
        domain: "user.v1",
        info: { id: "7" },
        metadata: { "x-tail": "2" },
      });
    }
  });

  test("without message, or with two, is no answer of a unary call", async () => {
    for (const body of [[], [frame(Buffer.from("1")), frame(Buffer.from("2"))]]) {
      const [unary, streamed] = await callBoth((stream) => answer(stream, body));
      expect(unary).toMatchObject({ code: Code.UNIMPLEMENTED });
      expect(streamed).toHaveLength(body.length);
    }
  });

  test("that comes before the request has been read ends the call", async () => {
    await using server = await startRawServer((stream) =>
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-status": "8", "grpc-message": "enough" },
        { endStream: true },
      ),
    );
    await using transport = createTransport({ resolver: createStaticResolver() });
    const large = Buffer.alloc(3 * 1024 * 1024);
    await expect(transport.endpoint(server.endpoint).unary(call(), large)).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      detail: "enough",
    });
  });
});
