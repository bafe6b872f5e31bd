import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { connect as connectNet } from "node:net";
import { gzipSync } from "node:zlib";
import { Client, credentials } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { createFakeClock } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { createEnvReader } from "../base/env-reader.ts";
import { silentLogger } from "../base/logger.ts";
import { implement } from "./implement.ts";
import { listen, streamResetLimit } from "./listener.ts";
import { serve } from "./serve.ts";
import type { Server } from "./serve.ts";
import { readServerConfig } from "./server-config.ts";

const { echo } = FixtureService.definition;
const config = readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0", MESH_MAX_MESSAGE_BYTES: "100000" }));
let server: Server;
let client: Client;

beforeAll(async () => {
  server = await serve({
    services: [implement(FixtureService, createFixtureService({ instance: () => "" }))],
    config,
    logger: silentLogger,
  });
  client = new Client(server.address, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await server.drain();
});

function send(bytes: Buffer): Promise<ServiceError | null> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      echo.path,
      (value: Buffer) => value,
      (value) => value,
      bytes,
      resolve,
    );
  });
}

/** One call over raw HTTP/2: its headers and trailers, or the code it was reset with. */
async function raw(headers: Record<string, string>, body: Buffer, session = open()): Promise<Record<string, unknown>> {
  const stream = session.request({
    ":method": "POST",
    ":path": echo.path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.end(body);
  const found: Record<string, unknown> = {};
  stream.on("response", (answer) => Object.assign(found, answer)).on("trailers", (trailers) => Object.assign(found, trailers));
  stream.resume();
  await new Promise<void>((resolve) => stream.on("error", () => {}).once("close", () => resolve()));
  return { ...found, rstCode: stream.rstCode };
}

function open(): ClientHttp2Session {
  const session = connectHttp2(`http://${server.address}`);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  return session;
}

function framed(message: Buffer, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

describe("a connection", () => {
  test("has a window for many uploads, each with the window of the protocol", async () => {
    const session = open();
    await new Promise((resolve) => session.once("remoteSettings", resolve));
    await new Promise((resolve) => session.ping(resolve));
    expect(session.state.remoteWindowSize).toBe(4_194_304);
    expect(session.remoteSettings.initialWindowSize).toBe(65_535);
  });

  test("may reset many calls without taking its neighbours along", async () => {
    expect(streamResetLimit.streamResetBurst).toBeGreaterThan(3_000);
    const session = open();
    await new Promise((resolve) => session.once("connect", resolve));
    const slow = raw({}, framed(echo.requestSerialize(FixtureService.requests.echo({ delayMs: 1_500 }))), session);
    for (let round = 0; round < 30; round += 1) {
      const resets = Array.from({ length: 100 }, async () => {
        const stream = session.request({ ":method": "POST", ":path": echo.path, "content-type": "application/grpc" });
        stream.on("error", () => {}).resume();
        const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
        setImmediate(() => stream.close(8));
        await closed;
      });
      await Promise.all(resets);
    }
    await expect(slow).resolves.toMatchObject({ "grpc-status": "0" });
  });
});

describe("limits", () => {
  const text = (bytes: number): Buffer => Buffer.from(FixtureServiceBytes(bytes));
  // An unknown field of any size is a request without a fault.
  const FixtureServiceBytes = (bytes: number): Uint8Array => {
    const length = bytes - 4;
    return Buffer.concat([
      Buffer.from([0x7a, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14]),
      Buffer.alloc(length),
    ]);
  };

  test("a message of exactly the limit is taken, one byte more is TOO_LARGE", async () => {
    expect(await send(text(100_000))).toBeNull();
    const error = await send(text(100_001));
    expect(error).toMatchObject({ code: 8, details: "a message of the request has 100001 bytes; the limit is 100000 bytes" });
    expect(String(error?.metadata.get("grpc-status-details-bin")[0])).toContain("TOO_LARGE");
  });

  test("the limit holds after decompression", async () => {
    const answer = await raw({ "grpc-encoding": "gzip" }, framed(gzipSync(text(100_001)), 1));
    expect(answer["grpc-status"]).toBe("8");
    await expect(raw({ "grpc-encoding": "gzip" }, framed(gzipSync(text(100_000)), 1))).resolves.toMatchObject({
      "grpc-status": "0",
    });
  });

  test("a length that nobody could send is refused before anything is allocated", async () => {
    await expect(raw({}, Buffer.from([0, 0xff, 0xff, 0xff, 0xff]))).resolves.toMatchObject({ "grpc-status": "8" });
  });

  test.each([
    ["a broken gzip message", { "grpc-encoding": "gzip" }, framed(Buffer.from("no gzip"), 1), "13"],
    ["an encoding that is not supported", { "grpc-encoding": "zstd" }, framed(Buffer.from("x"), 1), "12"],
    ["no message at all", {}, Buffer.alloc(0), "12"],
    ["two messages for one answer", {}, Buffer.concat([framed(Buffer.alloc(0)), framed(Buffer.alloc(0))]), "12"],
  ])("%s gets its status and leaves the server well", async (_what, headers, body, status) => {
    await expect(raw(headers, body)).resolves.toMatchObject({ "grpc-status": status });
    expect(await send(Buffer.alloc(0))).toBeNull();
  });

  test("headers above the limit are refused, on a new connection and on one that knows the limit", async () => {
    const session = open();
    const tooMuch = raw({ "x-big": "x".repeat(20_000) }, framed(Buffer.alloc(0)), session);
    await expect(tooMuch).resolves.toMatchObject({
      "grpc-status": "8",
      "grpc-message": expect.stringContaining("more%20than%2016384"),
    });
    await expect(raw({ "x-big": "x".repeat(12_000) }, framed(Buffer.alloc(0)), session)).resolves.toMatchObject({
      "grpc-status": "0",
    });
    const again = await raw({ "x-big": "x".repeat(20_000) }, framed(Buffer.alloc(0)), session);
    expect(again["grpc-status"]).toBeUndefined();
    expect(again["rstCode"]).not.toBe(0);
  });

  test.each(["text/plain", "application/grpcfoo", "application/json"])("a content type of %s is 415", async (contentType) => {
    await expect(raw({ "content-type": contentType }, framed(Buffer.alloc(0)))).resolves.toMatchObject({ ":status": 415 });
  });

  test("a connection that never says it speaks HTTP/2 is closed after 10 s", async () => {
    const clock = createFakeClock();
    const listener = await listen({ config, clock, onCall: () => {} });
    onTestFinished(() => listener.close());
    const socket = connectNet(listener.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await new Promise((resolve) => socket.once("data", resolve)); // The server's own preface: the session is there.
    await clock.advance(10_000);
    await closed;
  });

  test("what is no HTTP/2 is closed, and the server stays", async () => {
    const [host, port] = server.address.split(":");
    const socket = connectNet(Number(port), host);
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    socket.resume();
    socket.write("GET / HTTP/1.1\r\nHost: foo|bar\r\n\r\n");
    await new Promise((resolve) => socket.once("close", resolve));
    expect(await send(Buffer.alloc(0))).toBeNull();
  });
});

test("GOAWAY lets calls in flight finish, and takes the ones on their way", async () => {
  const own = await serve({
    services: [implement(FixtureService, createFixtureService({ instance: () => "" }))],
    config,
    logger: silentLogger,
    clock: systemClock,
  });
  const session = connectHttp2(`http://${own.address}`);
  onTestFinished(() => session.destroy());
  const call = (delayMs: number): Promise<Record<string, unknown>> =>
    raw({}, framed(echo.requestSerialize(FixtureService.requests.echo({ delayMs }))), session);
  const before = call(300);
  const answered = call(0);
  await answered;
  const goAway = new Promise<number>((resolve) => session.once("goaway", (_code, lastStreamId) => resolve(lastStreamId)));
  const drained = own.drain();
  expect(await goAway).toBe(2 ** 31 - 1);
  await expect(before).resolves.toMatchObject({ "grpc-status": "0" });
  await drained;
});
