import { Metadata, connectivityState, credentials } from "@grpc/grpc-js";
import type { ServiceError, StatusObject } from "@grpc/grpc-js";
import { eventually } from "@protoloom/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FixtureServiceClient } from "@protoloom/fixture/v1";
import type { CollectResponse, EchoRequest, EchoResponse } from "@protoloom/fixture/v1";
import { runInCall } from "../base/call-context.ts";
import type { CallContext } from "../base/call-context.ts";
import { Code } from "../base/code.ts";
import { silentLogger } from "../base/logger.ts";
import { MeshError } from "../base/mesh-error.ts";
import { toStatusBytes } from "../contract/status.ts";
import { createStaticResolver } from "../discovery/static-resolver.ts";
import { createTransport } from "./create-transport.ts";
import { createGrpcChannel } from "./grpc-channel.ts";
import { startFixtureServer } from "./test-servers/fixture-server.ts";
import type { FixtureServer } from "./test-servers/fixture-server.ts";
import { answer, startRawServer } from "./test-servers/raw-server.ts";
import type { Transport } from "./transport.ts";

let server: FixtureServer;
let transport: Transport;
let client: FixtureServiceClient;

beforeEach(async () => {
  server = await startFixtureServer();
  transport = createTransport({ resolver: createStaticResolver({ fixture: [server.endpoint] }) });
  client = clientOf(transport);
});

afterEach(async () => {
  client.close();
  await transport[Symbol.asyncDispose]();
  server[Symbol.dispose]();
});

function clientOf(of: Transport, name = "fixture"): FixtureServiceClient {
  return new FixtureServiceClient(name, credentials.createInsecure(), {
    channelOverride: createGrpcChannel(of.service(name), name),
  });
}

const echoRequest = (partial: Partial<EchoRequest> = {}): EchoRequest => ({
  text: "",
  delayMs: 0,
  code: 0,
  message: "",
  padBytes: 0,
  id: "",
  crash: false,
  ...partial,
});

interface Echoed {
  readonly error: ServiceError | null;
  readonly response: EchoResponse | undefined;
}

function echo(partial: Partial<EchoRequest>, options: object = {}, metadata = new Metadata()): Promise<Echoed> {
  return new Promise((resolve) =>
    client.echo(echoRequest(partial), metadata, options, (error, response) => resolve({ error, response })),
  );
}

/** The call that a server would be handling. */
function incoming(signal: AbortSignal, timeoutMs: number): CallContext {
  return {
    method: "caller.v1.Caller/Call",
    deadline: performance.now() + timeoutMs,
    signal,
    metadata: {},
    peer: "127.0.0.1:1",
    attempt: 1,
    requestId: "request-7",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    log: silentLogger,
    setHeader: () => {},
    setTrailer: () => {},
  };
}

describe("a grpc-js client over our channel", () => {
  test("makes unary calls, with metadata both ways", async () => {
    const metadata = new Metadata();
    metadata.set("x-text", "1");
    metadata.set("x-data-bin", Buffer.from([0, 255]));
    const { response } = await echo({ text: "hello" }, {}, metadata);
    expect(response?.text).toBe("hello");
    expect(server.lastMetadata).toMatchObject({ "x-text": "1", "x-data-bin": Buffer.from([0, 255]) });
  });

  test("gets headers, status and trailers as events", async () => {
    const events: string[] = [];
    await new Promise<void>((resolve) => {
      const call = client.echo(echoRequest(), () => events.push("answer"));
      call.on("metadata", (metadata: Metadata) => events.push(`metadata ${typeof metadata.get("date")[0]}`));
      call.on("status", (status: StatusObject) => resolve(void events.push(`status ${status.code}`)));
    });
    expect(events).toEqual(["metadata string", "answer", "status 0"]);
  });

  test("reads server streams, writes client streams, and does both", async () => {
    const indexes: number[] = [];
    for await (const message of client.count({ count: 100, padBytes: 10_000, intervalMs: 0, code: 0 }))
      indexes.push((message as EchoResponse).index);
    expect(indexes).toEqual(Array.from({ length: 100 }, (_, index) => index));

    const collected = await new Promise<CollectResponse>((resolve, reject) => {
      const call = client.collect((error, response) => (error === null ? resolve(response) : reject(error)));
      for (const text of ["a", "b"]) call.write(echoRequest({ text }));
      call.end();
    });
    expect(collected.texts).toEqual(["a", "b"]);

    const chat = client.chat();
    const answers: string[] = [];
    chat.write(echoRequest({ text: "1" }));
    for await (const message of chat) {
      answers.push((message as EchoResponse).text);
      if (answers.length === 3) chat.end();
      else chat.write(echoRequest({ text: String(answers.length + 1) }));
    }
    expect(answers).toEqual(["1", "2", "3"]);
  });

  test("gets the error of the server, with its details", async () => {
    const statusBytes = Buffer.from(toStatusBytes(new MeshError(Code.ABORTED, "etag", { reason: "ETAG" })) ?? []);
    await using raw = await startRawServer((stream) =>
      answer(stream, [], {
        trailers: {
          "grpc-status": "10",
          "grpc-message": "et%C3%A4g",
          "grpc-status-details-bin": statusBytes.toString("base64"),
          "x-tail": "1",
        },
      }),
    );
    await using other = createTransport({ resolver: createStaticResolver({ raw: [raw.endpoint] }) });
    const error = await new Promise<ServiceError | null>((resolve) => clientOf(other, "raw").echo(echoRequest(), resolve));
    expect(error).toMatchObject({ code: Code.ABORTED, details: "etäg" });
    expect(error?.metadata.get("grpc-status-details-bin")).toEqual([statusBytes]);
    expect(error?.metadata.get("x-tail")).toEqual(["1"]);
  });

  test.each([
    ["a date", () => new Date(Date.now() + 60)],
    ["a number", () => Date.now() + 60],
  ])("ends its calls at a deadline that is %s", async (_name, deadline) => {
    const { error } = await echo({ delayMs: 2_000 }, { deadline: deadline() });
    expect(error).toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    await eventually(() => server.cancelled === 1, { timeoutMs: 500 });
  });

  test("cancels its calls, and the server knows within 100 ms", async () => {
    const error = new Promise<ServiceError | null>((resolve) => {
      const call = client.echo(echoRequest({ delayMs: 2_000, id: "running" }), resolve);
      void eventually(() => server.ledger.has("running"), { intervalMs: 2 }).then(() => call.cancel());
    });
    expect(await error).toMatchObject({ code: Code.CANCELLED, details: "Cancelled on client" });
    await eventually(() => server.cancelled === 1, { timeoutMs: 100, intervalMs: 2 });
  });

  test("is told at once when a stream that it does not read is cancelled", async () => {
    const call = client.count({ count: 100_000, padBytes: 1_000, intervalMs: 0, code: 0 });
    await new Promise((resolve) => call.once("metadata", resolve));
    const failed = new Promise<ServiceError>((resolve) => call.once("error", resolve));
    call.cancel();
    expect(await failed).toMatchObject({ code: Code.CANCELLED });
  });

  test("does not read ahead of a slow consumer", async () => {
    const call = client.count({ count: 3_000, padBytes: 10_000, intervalMs: 0, code: 0 });
    await new Promise((resolve) => call.once("readable", resolve));
    await eventually(() => server.bufferedBytes > 0);
    let count = 0;
    for await (const _ of call) count++;
    expect(count).toBe(3_000);
  });

  test("carries the incoming call on: deadline, cancellation, request id and trace", async () => {
    const controller = new AbortController();
    const { response } = await runInCall(incoming(controller.signal, 400), () => echo({}));
    expect(Number(response?.remainingMs)).toBeLessThan(401);
    expect(server.lastMetadata).toMatchObject({
      "x-request-id": "request-7",
      traceparent: expect.stringContaining("0af7651916cd43dd8448eb211c80319c"),
    });
    const cancelled = runInCall(incoming(controller.signal, 5_000), () => echo({ delayMs: 2_000, id: "carried" }));
    await eventually(() => server.ledger.has("carried"));
    controller.abort();
    expect((await cancelled).error).toMatchObject({ code: Code.CANCELLED });
  });

  test("carries a parent call of grpc-js on: its deadline and its cancellation", async () => {
    const listeners: (() => void)[] = [];
    const parent = {
      cancelled: false,
      getDeadline: () => Date.now() + 300,
      once: (_event: string, listener: () => void) => listeners.push(listener),
      removeListener: (_event: string, listener: () => void) => listeners.splice(listeners.indexOf(listener), 1),
    };
    const { response } = await echo({}, { parent });
    expect(Number(response?.remainingMs)).toBeLessThan(301);
    await eventually(() => listeners.length === 0);
    const cancelled = echo({ delayMs: 2_000, id: "child" }, { parent });
    await eventually(() => server.ledger.has("child"));
    for (const listener of [...listeners]) listener();
    expect((await cancelled).error).toMatchObject({ code: Code.CANCELLED });
  });

  test("refuses call credentials, and calls after it was closed", async () => {
    const options = {
      credentials: credentials.createFromMetadataGenerator((_options, callback) => callback(null, new Metadata())),
    };
    expect(() => client.echo(echoRequest(), new Metadata(), options, () => {})).toThrow("they need TLS");
    const channel = client.getChannel();
    expect(channel.getTarget()).toBe("fixture");
    await new Promise<void>((resolve, reject) =>
      client.waitForReady(Date.now() + 500, (error) => (error === undefined ? resolve() : reject(error))),
    );
    const closed = new Promise((resolve) => channel.watchConnectivityState(connectivityState.READY, Date.now() + 5_000, resolve));
    client.close();
    expect(await closed).toBeUndefined();
    expect(() => client.echo(echoRequest(), () => {})).toThrow("was closed");
  });
});
