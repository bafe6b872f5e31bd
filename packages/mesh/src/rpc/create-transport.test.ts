import { getEventListeners } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { eventually } from "@protoloom/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FixtureService } from "@protoloom/fixture";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { createStaticResolver } from "../discovery/static-resolver.ts";
import { createTransport } from "./create-transport.ts";
import { startFixtureServer } from "./test-servers/fixture-server.ts";
import type { FixtureServer } from "./test-servers/fixture-server.ts";
import { answer, frame, startRawServer } from "./test-servers/raw-server.ts";
import { startServerProcess } from "./test-servers/server-process.ts";
import type { ByteCall, Transport } from "./transport.ts";

const { definition, requests } = FixtureService;
type Echo = Parameters<typeof requests.echo>[0];

const echoBytes = (request: Echo): Buffer => definition.echo.requestSerialize(requests.echo(request));
const countBytes = (request: Parameters<typeof requests.count>[0]): Buffer =>
  definition.count.requestSerialize(requests.count(request));

function call(
  path: string,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal; readonly metadata?: ByteCall["metadata"] } = {},
): ByteCall {
  const { timeoutMs = 5_000, signal, metadata = {} } = options;
  return { path, metadata, deadline: performance.now() + timeoutMs, ...(signal === undefined ? {} : { signal }) };
}

let server: FixtureServer;
let transport: Transport;

beforeEach(async () => {
  server = await startFixtureServer();
  transport = createTransport({ resolver: createStaticResolver({ fixture: [server.endpoint] }) });
});

afterEach(async () => {
  await transport[Symbol.asyncDispose]();
  server[Symbol.dispose]();
});

const unary = (request: Echo, options?: Parameters<typeof call>[1]): Promise<unknown> =>
  transport
    .service("fixture")
    .unary(call(definition.echo.path, options), echoBytes(request))
    .then(({ message }) => definition.echo.responseDeserialize(message as Buffer));

describe("a unary call", () => {
  test("brings its answer, its metadata and its deadline", async () => {
    const answer = await unary({ text: "hello" }, { timeoutMs: 1_000, metadata: { "x-a": "1", "x-b-bin": "AAE=" } });
    expect(answer).toMatchObject({ text: "hello" });
    expect(Number((answer as { remainingMs: bigint }).remainingMs)).toBeGreaterThan(500);
    expect(server.lastMetadata).toMatchObject({ "x-a": "1", "x-b-bin": Buffer.from([0, 1]) });
  });

  test("carries large messages both ways", async () => {
    const text = "x".repeat(3_000_000);
    expect(await unary({ text, padBytes: 1_000_000 })).toMatchObject({ text });
  });

  test("fails with the code and the message of the server", async () => {
    await expect(unary({ code: Code.NOT_FOUND, message: "no ünit 7 %" })).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      detail: "no ünit 7 %",
    });
  });

  test("ends at its deadline, and is cancelled at the server", async () => {
    const startedMs = performance.now();
    await expect(unary({ delayMs: 2_000 }, { timeoutMs: 60 })).rejects.toMatchObject({
      code: Code.DEADLINE_EXCEEDED,
      reason: "DEADLINE_PASSED",
    });
    expect(performance.now() - startedMs).toBeLessThan(500);
    await eventually(() => server.cancelled === 1, { timeoutMs: 500 });
  });

  test("whose deadline has passed is not sent", async () => {
    await expect(unary({ id: "late" }, { timeoutMs: -1 })).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    await unary({});
    expect(server.ledger.has("late")).toBe(false);
  });

  test("ends when its signal aborts, and the server knows within 100 ms", async () => {
    const controller = new AbortController();
    const answer = unary({ delayMs: 2_000, id: "running" }, { signal: controller.signal });
    await eventually(() => server.ledger.has("running"), { intervalMs: 2 });
    controller.abort(new Error("enough"));
    await expect(answer).rejects.toMatchObject({ code: Code.CANCELLED, cause: expect.objectContaining({ message: "enough" }) });
    await eventually(() => server.cancelled === 1, { timeoutMs: 100, intervalMs: 2 });
    await expect(unary({}, { signal: controller.signal })).rejects.toMatchObject({ code: Code.CANCELLED });
  });

  test("fails with the reason of the abort if that is an error of ours", async () => {
    const reason = new MeshError(Code.UNAVAILABLE, "draining", { reason: "DRAINING" });
    await expect(unary({}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test("with metadata that cannot be sent fails with INVALID_ARGUMENT", async () => {
    await expect(unary({}, { metadata: { "x-a": "a\r\nb: c" } })).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    expect(await unary({ text: "after" })).toMatchObject({ text: "after" });
  });

  test("leaves nothing behind: 10,000 calls with one long-lived signal", { timeout: 30_000 }, async () => {
    const { signal } = new AbortController();
    await using echo = await startServerProcess();
    const service = transport.endpoint(echo.endpoint);
    const request = echoBytes({ text: "x" });
    const run = async (calls: number): Promise<void> => {
      const loop = async (): Promise<void> => {
        for (let index = 0; index < calls / 100; index++) await service.unary(call("/echo.v1.Echo/Echo", { signal }), request);
      };
      await Promise.all(Array.from({ length: 100 }, loop));
    };
    await run(2_000);
    const before = heapUsed();
    await run(10_000);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    // A closure or a listener that stays is 100 bytes and more: 1 MB.
    expect(heapUsed() - before).toBeLessThan(500_000);
  });
});

/** After a full collection. */
function heapUsed(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}

describe("a stream", () => {
  test("brings all messages, in order, and its trailers", async () => {
    const stream = transport.service("fixture").stream(call(definition.count.path));
    await stream.send(countBytes({ count: 2_000, padBytes: 500 }));
    stream.end();
    let next = 0;
    for await (const message of stream.messages)
      expect(definition.count.responseDeserialize(message as Buffer).index).toBe(next++);
    expect(next).toBe(2_000);
    expect(await stream.headers).toHaveProperty("date");
    expect(await stream.trailers).toEqual({});
  });

  test("delivers what came before an error, then the error", async () => {
    const stream = transport.service("fixture").stream(call(definition.count.path));
    await stream.send(countBytes({ count: 3, code: Code.ABORTED }));
    stream.end();
    let count = 0;
    const read = async (): Promise<void> => {
      for await (const _ of stream.messages) count++;
    };
    await expect(read()).rejects.toMatchObject({ code: Code.ABORTED });
    expect(count).toBe(3);
  });

  test("answers each message as it comes", async () => {
    const stream = transport.service("fixture").stream(call(definition.chat.path));
    const answers = stream.messages[Symbol.asyncIterator]();
    for (const text of ["a", "b", "c"]) {
      await stream.send(echoBytes({ text }));
      const { value } = await answers.next();
      expect(definition.chat.responseDeserialize(value as Buffer).text).toBe(text);
    }
    stream.end();
    expect(await answers.next()).toEqual({ done: true, value: undefined });
    await expect(stream.send(Buffer.alloc(0))).rejects.toMatchObject({ code: Code.CANCELLED });
  });

  test("cancels the call when its reader leaves early", async () => {
    const stream = transport.service("fixture").stream(call(definition.count.path));
    await stream.send(countBytes({ count: 1_000_000, padBytes: 1_000 }));
    stream.end();
    for await (const _ of stream.messages) break;
    await eventually(() => server.cancelled === 1, { timeoutMs: 100, intervalMs: 2 });
  });

  test("ends at its deadline, for reader and writer", async () => {
    const stream = transport.service("fixture").stream(call(definition.chat.path, { timeoutMs: 50 }));
    const read = stream.messages[Symbol.asyncIterator]().next();
    await expect(read).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    await expect(stream.send(echoBytes({}))).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    await expect(stream.headers).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    expect(await stream.trailers).toEqual({});
  });

  test("holds a window for a reader that does not read, and no more", async () => {
    const stream = transport.service("fixture").stream(call(definition.count.path));
    await stream.send(countBytes({ count: 3_000, padBytes: 10_000 }));
    stream.end();
    const reader = stream.messages[Symbol.asyncIterator]();
    await reader.next();
    // The server is stopped by the window: what it wants to write piles up on its side, within its own limit.
    await eventually(() => server.bufferedBytes > 0);
    const before = process.memoryUsage();
    await new Promise((resolve) => setTimeout(resolve, 200)); // 30 MB would be here by now.
    const after = process.memoryUsage();
    expect(after.external + after.heapUsed - before.external - before.heapUsed).toBeLessThan(5_000_000);
    let count = 1;
    while ((await reader.next()).done !== true) count++;
    expect(count).toBe(3_000);
  });

  test("makes a writer wait for a server that does not read", async () => {
    let sent = 0;
    const held: ServerHttp2Stream[] = [];
    await using raw = await startRawServer((stream) => held.push(stream));
    const controller = new AbortController();
    const stream = transport.endpoint(raw.endpoint).stream(call("/raw.v1.Raw/Chat", { signal: controller.signal }));
    const message = echoBytes({ text: "x".repeat(10_000) });
    const write = async (): Promise<void> => {
      for (; sent < 10_000; sent++) await stream.send(message);
    };
    const writing = write();
    writing.catch(() => {}); // It is looked at below.
    let last = -1;
    const stands = (): boolean => {
      const before = last;
      last = sent;
      return sent > 0 && sent === before;
    };
    await eventually(stands, { intervalMs: 100 });
    // The server's window of 64 KiB, and what node:http2 takes ahead of it.
    expect(sent).toBeLessThan(100);
    held[0]?.resume();
    await eventually(() => sent > 500);
    controller.abort();
    await expect(writing).rejects.toMatchObject({ code: Code.CANCELLED });
  });

  test("whose server ends early with OK lets its writer go", async () => {
    await using raw = await startRawServer((stream) => answer(stream, frame(Buffer.from("early"))));
    const stream = transport.endpoint(raw.endpoint).stream(call("/raw.v1.Raw/Chat"));
    await stream.send(echoBytes({}));
    const messages: string[] = [];
    for await (const message of stream.messages) messages.push(Buffer.from(message).toString());
    expect(messages).toEqual(["early"]);
    await expect(stream.send(echoBytes({}))).rejects.toMatchObject({ code: Code.CANCELLED });
  });

  test("that has been answered is read to its end, though the connection has gone", async () => {
    await using raw = await startRawServer((stream) => {
      answer(
        stream,
        Array.from({ length: 100 }, (_, index) => frame(Buffer.from(`${index}`.padEnd(1_000)))),
      );
      const { session } = stream;
      stream.on("close", () => session?.destroy());
    });
    const stream = transport.endpoint(raw.endpoint).stream(call("/raw.v1.Raw/Count"));
    stream.end();
    const reader = stream.messages[Symbol.asyncIterator]();
    await reader.next();
    await eventually(() => raw.sessions[0]?.destroyed);
    await stream.trailers;
    let count = 1;
    while ((await reader.next()).done !== true) count++;
    expect(count).toBe(100);
  });
});
