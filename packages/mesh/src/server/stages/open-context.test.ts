import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { CallOptions, ServiceError } from "@grpc/grpc-js";
import { connect as connectHttp2 } from "node:http2";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { createLogRecorder, eventually } from "@protoloom/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { currentCall } from "../../base/call-context.ts";
import type { CallContext } from "../../base/call-context.ts";
import { systemClock } from "../../base/clock.ts";
import { createEnvReader } from "../../base/env-reader.ts";
import { implement } from "../implement.ts";
import { serve } from "../serve.ts";
import type { Server } from "../serve.ts";
import { readServerConfig } from "../server-config.ts";

const { echo, chat, count } = FixtureService.definition;
const { logger, lines } = createLogRecorder();
const aborts: { readonly afterMs: number; readonly reason: unknown }[] = [];
let handle: (context: CallContext) => Promise<void>;
let returned: string[] = [];
let server: Server;
let client: Client;

beforeAll(async () => {
  const fixture = createFixtureService({ instance: () => "" });
  server = await serve({
    services: [
      implement(FixtureService, {
        ...fixture,
        async echo(request, context) {
          const startedMs = performance.now();
          context.signal.addEventListener("abort", () =>
            aborts.push({ afterMs: performance.now() - startedMs, reason: context.signal.reason }),
          );
          await handle(context);
          return fixture.echo(request, context);
        },
        async *count(request, context) {
          try {
            yield* fixture.count(request, context);
          } finally {
            returned.push("count");
          }
        },
        async *chat(requests, context) {
          try {
            yield* fixture.chat(requests, context);
          } finally {
            returned.push("chat");
          }
        },
      }),
    ],
    config: readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0" })),
    logger,
  });
  client = new Client(server.address, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await server.drain();
});

beforeEach(() => {
  lines.length = 0;
  aborts.length = 0;
  returned = [];
  handle = async () => {};
});

interface Answer {
  readonly error: ServiceError | null;
  readonly remainingMs: number;
}

function call(options: CallOptions = {}, metadata: Metadata = new Metadata()): { answer: Promise<Answer>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const request = FixtureService.requests.echo({});
  const running = client.makeUnaryRequest(
    echo.path,
    echo.requestSerialize,
    echo.responseDeserialize,
    request,
    metadata,
    options,
    (error, value) => resolve({ error, remainingMs: Number(value?.remainingMs ?? 0) }),
  );
  return { answer: promise, cancel: () => running.cancel() };
}

/** Calls with raw HTTP/2, for headers that no client would send. */
async function rawCall(headers: Record<string, string>): Promise<{ status: string | undefined; message: string | undefined }> {
  const session = connectHttp2(`http://${server.address}`);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": echo.path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    stream.end(Buffer.alloc(5));
    return await new Promise((resolve, reject) => {
      const read = (found: Record<string, unknown> & { "grpc-status"?: string; "grpc-message"?: string }): void => {
        if (found["grpc-status"] !== undefined) resolve({ status: String(found["grpc-status"]), message: found["grpc-message"] });
      };
      stream.on("response", read).on("trailers", read).on("error", reject).resume();
    });
  } finally {
    session.destroy();
  }
}

describe("the deadline", () => {
  test("is the method's default when the caller asks for none", async () => {
    const { error, remainingMs } = await call().answer;
    expect(error).toBeNull();
    expect(remainingMs).toBeGreaterThan(4_000);
    expect(remainingMs).toBeLessThanOrEqual(5_000);
  });

  test("is what the caller asks for", async () => {
    const { remainingMs } = await call({ deadline: Date.now() + 1_000 }).answer;
    expect(remainingMs).toBeGreaterThan(800);
    expect(remainingMs).toBeLessThanOrEqual(1_000);
  });

  test("is clamped to the method's maximum", async () => {
    const { remainingMs } = await call({ deadline: Date.now() + 600_000 }).answer;
    expect(remainingMs).toBeGreaterThan(59_000);
    expect(remainingMs).toBeLessThanOrEqual(60_000);
  });

  test.each([
    ["597H", "0"],
    ["2147484S", "0"],
    ["99999999H", "0"],
    ["0S", "4"],
    ["1n", "4"],
    ["x5S", "3"],
    ["-5S", "3"],
    ["100000000S", "3"],
    ["", "3"],
  ])("of grpc-timeout %j gives status %s", async (timeout, status) => {
    expect((await rawCall({ "grpc-timeout": timeout })).status).toBe(status);
  });

  test("ends the call when it passes, though the handler does not listen", async () => {
    const stuck = Promise.withResolvers<void>();
    handle = () => stuck.promise;
    const startedMs = performance.now();
    // Raw, because a client with a deadline of its own would not wait for the server's answer.
    const { status, message } = await rawCall({ "grpc-timeout": "100m" });
    expect(status).toBe("4");
    expect(decodeURI(message ?? "")).toMatch(/^no answer within (100|99) ms$/);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(aborts).toHaveLength(1);
    expect(aborts[0]?.reason).toMatchObject({ code: 4, reason: "DEADLINE_PASSED" });
    stuck.resolve();
  });

  test("travels to where a nested call would read it", async () => {
    let seen: CallContext | undefined;
    handle = async () => {
      await systemClock.sleep(1);
      seen = await Promise.resolve().then(() => currentCall());
    };
    const metadata = new Metadata();
    metadata.set("x-request-id", "r-1");
    metadata.set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    const { remainingMs } = await call({ deadline: Date.now() + 2_000 }, metadata).answer;
    expect(seen?.method).toBe("fixture.v1.FixtureService/Echo");
    expect(seen?.requestId).toBe("r-1");
    expect(seen?.traceparent).toBe("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    expect(seen?.peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(Math.abs((seen?.deadline ?? 0) - performance.now() - remainingMs)).toBeLessThan(200);
    expect(currentCall()).toBeUndefined();
    expect(lines.at(-1)).toMatchObject({
      code: "OK",
      requestId: "r-1",
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      message: "call",
    });
  });
});

test("a handler may take what it needs out of its context", async () => {
  handle = async ({ setHeader, setTrailer, log, metadata, attempt }) => {
    setHeader("x-attempt", String(attempt));
    setTrailer("x-given", String(metadata["x-given"]));
    log.info({}, "taken");
  };
  const metadata = new Metadata();
  metadata.set("x-given", "g");
  const seen: Record<string, unknown> = {};
  await new Promise<void>((resolve) => {
    const request = FixtureService.requests.echo({});
    client
      .makeUnaryRequest(echo.path, echo.requestSerialize, echo.responseDeserialize, request, metadata, () => {})
      .on("metadata", (headers) => Object.assign(seen, headers.getMap()))
      .on("status", (status) => resolve(void Object.assign(seen, status.metadata.getMap())));
  });
  expect(seen).toMatchObject({ "x-attempt": "1", "x-given": "g" });
  expect(lines.find(({ message }) => message === "taken")).toMatchObject({ method: "fixture.v1.FixtureService/Echo" });
});

describe("cancelling", () => {
  test("reaches a unary handler within 100 ms", async () => {
    const entered = Promise.withResolvers<void>();
    handle = async ({ signal }) => {
      entered.resolve();
      await systemClock.sleep(10_000, signal);
    };
    const { answer, cancel } = call();
    await entered.promise;
    const cancelledMs = performance.now();
    cancel();
    await eventually(() => aborts.length === 1, { intervalMs: 1 });
    expect(performance.now() - cancelledMs).toBeLessThan(100);
    expect(aborts[0]?.reason).toMatchObject({ code: 1, reason: "CALLER_GONE" });
    expect((await answer).error?.code).toBe(1);
    await eventually(() => lines.some(({ code, reason }) => code === "CANCELLED" && reason === "CALLER_GONE"));
  });

  test("returns the generator of a stream within 100 ms", async () => {
    const request = FixtureService.requests.count({ count: 1_000, intervalMs: 5 });
    const stream = client.makeServerStreamRequest(count.path, count.requestSerialize, count.responseDeserialize, request);
    stream.on("error", () => {});
    await new Promise((resolve) => stream.once("data", resolve));
    const cancelledMs = performance.now();
    stream.cancel();
    await eventually(() => returned.includes("count"), { intervalMs: 1 });
    expect(performance.now() - cancelledMs).toBeLessThan(100);
  });

  test("reaches a bidirectional stream that waits for its next request", async () => {
    const stream = client.makeBidiStreamRequest(chat.path, chat.requestSerialize, chat.responseDeserialize);
    stream.on("error", () => {});
    stream.write(FixtureService.requests.chat({ text: "a" }));
    await new Promise((resolve) => stream.once("data", resolve));
    const cancelledMs = performance.now();
    stream.cancel();
    await eventually(() => returned.includes("chat"), { intervalMs: 1 });
    expect(performance.now() - cancelledMs).toBeLessThan(100);
  });

  test("by closing the connection does the same", async () => {
    const own = new Client(server.address, credentials.createInsecure());
    const stream = own.makeBidiStreamRequest(chat.path, chat.requestSerialize, chat.responseDeserialize);
    stream.on("error", () => {});
    stream.write(FixtureService.requests.chat({ text: "a" }));
    await new Promise((resolve) => stream.once("data", resolve));
    stream.cancel();
    own.close();
    await eventually(() => returned.includes("chat"), { intervalMs: 1, timeoutMs: 1_000 });
  });

  test("leaves what the handler throws afterwards to the log", async () => {
    const entered = Promise.withResolvers<void>();
    const late = Promise.withResolvers<void>();
    handle = async () => {
      entered.resolve();
      await late.promise;
      throw new TypeError("too late");
    };
    const { answer, cancel } = call();
    await entered.promise;
    cancel();
    await answer;
    await eventually(() => aborts.length === 1);
    late.resolve();
    const line = await eventually(() => lines.find(({ message }) => message === "the handler failed after its call had ended"));
    expect(line).toMatchObject({
      method: "fixture.v1.FixtureService/Echo",
      err: expect.objectContaining({ message: "too late" }),
    });
  });
});
