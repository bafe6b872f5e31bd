import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Stream } from "node:http2";
import { Client, credentials } from "@grpc/grpc-js";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { eventually } from "@protoloom/testing";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { createEnvReader } from "../base/env-reader.ts";
import { silentLogger } from "../base/logger.ts";
import { implement } from "./implement.ts";
import { serve } from "./serve.ts";
import type { Server } from "./serve.ts";
import { readServerConfig } from "./server-config.ts";

const { collect, count } = FixtureService.definition;
const padBytes = 10_000;
let server: Server;
let client: Client;
let produced: number;
let consumed: number;
let isReturned: boolean;
let isComplete: boolean;
let mayRead: PromiseWithResolvers<void>;

beforeAll(async () => {
  const fixture = createFixtureService({ instance: () => "" });
  server = await serve({
    services: [
      implement(FixtureService, {
        ...fixture,
        async *count(request) {
          try {
            for (let index = 0; index < request.count; index += 1) {
              produced = index + 1;
              yield { text: "", instance: "", remainingMs: 0n, pad: Buffer.alloc(request.padBytes), index };
            }
          } finally {
            isReturned = true;
          }
        },
        async collect(requests) {
          const texts: string[] = [];
          try {
            for await (const { text } of requests) {
              consumed += 1;
              texts.push(text.slice(0, 1));
              if (text === "enough") return { texts, instance: "" };
              await mayRead.promise;
            }
          } finally {
            isReturned = true;
          }
          isComplete = true;
          return { texts, instance: "" };
        },
      }),
    ],
    config: readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0", MESH_DRAIN_TIMEOUT_MS: "500" })),
    logger: silentLogger,
  });
  client = new Client(server.address, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await server.drain();
});

beforeEach(() => {
  produced = consumed = 0;
  isReturned = isComplete = false;
  mayRead = Promise.withResolvers();
});

/** Waits until a number has stopped growing. */
async function settled(read: () => number): Promise<number> {
  let last = -1;
  let unchanged = 0;
  return eventually(
    () => {
      unchanged = read() === last && last > 0 ? unchanged + 1 : 0;
      last = read();
      return unchanged >= 10 ? last : undefined;
    },
    { intervalMs: 20 },
  );
}

test("a client that reads slowly holds the handler back, and then gets everything", async () => {
  const total = 2_000;
  const request = FixtureService.requests.count({ count: total, padBytes });
  const stream = client.makeServerStreamRequest(count.path, count.requestSerialize, count.responseDeserialize, request);
  const iterator = (stream as AsyncIterable<{ index: number }>)[Symbol.asyncIterator]();
  await iterator.next();
  // 20 MB are asked for. What is under way is the windows of HTTP/2, the client's own buffer of 16 messages, and ours.
  const ahead = await settled(() => produced);
  expect(ahead * padBytes).toBeLessThan(1_000_000);
  let received = 1;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) received += 1;
  expect(received).toBe(total);
});

/** A call over raw HTTP/2: grpc-js' client has buffers of its own that it fills whether anybody reads or not. */
function rawCall(path: string): ClientHttp2Stream {
  const session = connectHttp2(`http://${server.address}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" });
  return stream.on("error", () => {});
}

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

test("a handler that reads slowly holds the client back, and then gets everything", async () => {
  const total = 5_000;
  const message = framed(collect.requestSerialize(FixtureService.requests.collect({ text: "a".repeat(1_000) })));
  const stream = rawCall(collect.path);
  let flushed = 0;
  const sending = (async () => {
    for (; flushed < total; flushed += 1) await new Promise((resolve) => stream.write(message, resolve));
    stream.end();
  })();
  const ahead = await settled(() => flushed);
  expect(consumed).toBe(1);
  // 5 MB wait to be sent. What the server takes is one window of HTTP/2.
  expect(ahead * message.length).toBeLessThan(200_000);
  mayRead.resolve();
  await sending;
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  const { texts } = collect.responseDeserialize(Buffer.concat(chunks).subarray(5));
  expect(texts).toHaveLength(total);
});

test("a request that is reset is not taken for complete", async () => {
  const stream = rawCall(collect.path);
  const { session } = stream;
  mayRead.resolve();
  stream.write(framed(collect.requestSerialize(FixtureService.requests.collect({ text: "a" }))));
  await eventually(() => consumed === 1);
  // node:http2 ends a request before it resets it, unless it is told that this has been done.
  stream._final = (done) => done();
  stream.close(8);
  await eventually(() => isReturned);
  // What the handler would do next it has done before the server answers this.
  await new Promise((resolve) => session?.ping(resolve));
  expect(isComplete).toBe(false);
});

test.each([
  [
    "within its request",
    collect.path,
    framed(collect.requestSerialize(FixtureService.requests.collect({ text: "enough" }))),
    "0",
  ],
  ["before it", "/fixture.v1.FixtureService/Nothing", Buffer.alloc(0), "12"],
])("a caller that is answered %s is told to send no more", async (_when, path, bytes, status) => {
  const stream = rawCall(path);
  let found: string | undefined;
  const note = (headers: { "grpc-status"?: string }): void => void (found ??= headers["grpc-status"]);
  stream.on("response", note).on("trailers", note).resume();
  if (bytes.length > 0) stream.write(bytes);
  await new Promise((resolve) => stream.once("close", resolve));
  expect(found).toBe(status);
  expect(stream.rstCode).toBe(0);
});

test("a request that ends within a message is refused", async () => {
  const stream = rawCall(collect.path);
  const answered = new Promise((resolve) => stream.once("response", resolve));
  stream.resume().end(Buffer.from([0, 0, 0, 0, 9, 1]));
  await expect(answered).resolves.toMatchObject({
    "grpc-status": "13",
    "grpc-message": expect.stringContaining("within%20a%20message"),
  });
});

test("a client that stops reading and goes away lets the handler go", async () => {
  const stream = rawCall(count.path);
  stream.end(framed(count.requestSerialize(FixtureService.requests.count({ count: 100_000, padBytes }))));
  const ahead = await settled(() => produced);
  expect(ahead * padBytes).toBeLessThan(400_000);
  expect(isReturned).toBe(false);
  stream.close(8);
  await eventually(() => isReturned);
  expect(produced).toBe(ahead);
});
