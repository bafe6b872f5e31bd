import { connect as connectHttp2 } from "node:http2";
import type { Message } from "@bufbuild/protobuf";
import { Code as ConnectCode, ConnectError, createClient } from "@connectrpc/connect";
import type { Transport } from "@connectrpc/connect";
import { compressionGzip, createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { eventually } from "@protoloom/testing";
import { FixtureService } from "@protoloom/fixture";
import { MeshError, implement } from "@protoloom/mesh";
import type { CallContext, Code } from "@protoloom/mesh";
import { BadRequestSchema } from "@protoloom/protos/google/rpc/error_details_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRig, startUpstream } from "../test/rig.ts";
import type { Rig } from "../test/rig.ts";

type EchoRequest = { text?: string; delayMs?: number; code?: number; message?: string; padBytes?: number };
type EchoResponse = Message & { text: string; index: number; pad: Uint8Array; remainingMs: bigint };
/** The fixture's client, whose descriptor has no types of its own. */
interface FixtureClient {
  echo(
    request: EchoRequest,
    options?: { timeoutMs?: number; signal?: AbortSignal; headers?: Record<string, string> },
  ): Promise<EchoResponse>;
  inside(request: EchoRequest): Promise<EchoResponse>;
  count(
    request: { count: number; code?: number; padBytes?: number; intervalMs?: number },
    options?: { signal?: AbortSignal; timeoutMs?: number },
  ): AsyncIterable<EchoResponse>;
  collect(requests: AsyncIterable<EchoRequest>): Promise<Message & { texts: string[] }>;
  chat(requests: AsyncIterable<EchoRequest>, options?: { signal?: AbortSignal }): AsyncIterable<EchoResponse>;
}

let rig: Rig;
let cancelled = 0;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  const echo = (
    request: { text: string; code: number; message: string; padBytes: number; index?: number },
    deadline: number,
  ): object => {
    if (request.code !== 0)
      throw new MeshError(request.code as Code, request.message, { info: { a: "b" }, reason: "AS_ASKED", domain: "fixture.v1" });
    const remainingMs = BigInt(Math.round(deadline - performance.now()));
    return {
      text: request.text,
      instance: "fixture",
      remainingMs,
      pad: Buffer.alloc(request.padBytes),
      index: request.index ?? 0,
    };
  };
  const handlers = {
    async echo(request: { delayMs: number } & Parameters<typeof echo>[0], context: CallContext) {
      context.setHeader("x-answer", "header");
      context.setTrailer("x-end", "trailer");
      context.setHeader("x-seen", JSON.stringify(context.metadata));
      if (request.delayMs > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, request.delayMs);
          context.signal.addEventListener("abort", () => {
            clearTimeout(timer);
            cancelled += 1;
            resolve();
          });
        });
      }
      return echo(request, context.deadline);
    },
    inside: (request: Parameters<typeof echo>[0], context: { deadline: number }) => echo(request, context.deadline),
    async *count(request: { count: number; code: number; padBytes: number }, context: { deadline: number }) {
      for (let index = 0; index < request.count; index += 1)
        yield echo({ text: "", code: 0, message: "", padBytes: request.padBytes, index }, context.deadline);
      if (request.code !== 0) throw new MeshError(request.code as Code, "after the last answer");
    },
    async collect(requests: AsyncIterable<{ text: string }>) {
      const texts: string[] = [];
      for await (const { text } of requests) texts.push(text);
      return { texts, instance: "fixture" };
    },
    async *chat(requests: AsyncIterable<Parameters<typeof echo>[0]>, context: { deadline: number; signal: AbortSignal }) {
      let index = 0;
      context.signal.addEventListener("abort", () => (cancelled += 1));
      for await (const request of requests) yield echo({ ...request, index: index++ }, context.deadline);
    },
    ledger: () => ({ counts: {}, total: 0 }),
  };
  const { server, endpoint } = await startUpstream(implement(FixtureService, handlers as never));
  cleanup.defer(() => server.drain());
  rig = await startRig({ fixture: [endpoint] });
  cleanup.use(rig);
});

afterAll(() => cleanup.disposeAsync());

async function* all(...texts: readonly string[]): AsyncGenerator<EchoRequest> {
  for (const text of texts) yield { text };
}

async function collectAll<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function failureOf(work: Promise<unknown>): Promise<ConnectError> {
  try {
    await work;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the call succeeded");
}

const transports: readonly (readonly [string, (baseUrl: string) => Transport])[] = (["1.1", "2"] as const).flatMap(
  (httpVersion) => [
    [`Connect JSON over HTTP/${httpVersion}`, (baseUrl) => createConnectTransport({ baseUrl, httpVersion })] as const,
    [
      `Connect binary over HTTP/${httpVersion}`,
      (baseUrl) => createConnectTransport({ baseUrl, httpVersion, useBinaryFormat: true }),
    ] as const,
    [
      `Connect GET over HTTP/${httpVersion}`,
      (baseUrl) => createConnectTransport({ baseUrl, httpVersion, useBinaryFormat: true, useHttpGet: true }),
    ] as const,
    [
      `Connect gzip over HTTP/${httpVersion}`,
      (baseUrl) =>
        createConnectTransport({
          baseUrl,
          httpVersion,
          useBinaryFormat: true,
          sendCompression: compressionGzip,
          compressMinBytes: 1,
        }),
    ] as const,
    [
      `gRPC-Web over HTTP/${httpVersion}`,
      (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion, useBinaryFormat: true }),
    ] as const,
    [
      `gRPC-Web JSON over HTTP/${httpVersion}`,
      (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion, useBinaryFormat: false }),
    ] as const,
    ...(httpVersion === "2"
      ? ([
          ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
          ["gRPC JSON", (baseUrl: string) => createGrpcTransport({ baseUrl, useBinaryFormat: false })],
        ] as const)
      : []),
  ],
);

describe.each(transports)("%s", (name, transportOf) => {
  const client = (): FixtureClient => createClient(FixtureService.descriptor, transportOf(rig.url)) as unknown as FixtureClient;

  test("calls a unary method", async () => {
    const answer = await client().echo({ text: "é 😀", padBytes: 3 });
    expect(answer.text).toBe("é 😀");
    expect(answer.pad).toHaveLength(3);
  });

  test("gets an error with its details and trailers", async () => {
    const error = await failureOf(client().echo({ code: 5, message: "no such résource 100%" }));
    expect(error.code).toBe(ConnectCode.NotFound);
    expect(error.rawMessage).toBe("no such résource 100%");
    expect(error.details).toEqual([expect.objectContaining({ type: "google.rpc.ErrorInfo" })]);
  });

  test("learns which fields break the contract", async () => {
    const error = await failureOf(client().echo({ text: "x".repeat(1_001) }));
    expect(error.code).toBe(ConnectCode.InvalidArgument);
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field).toBe("text");
  });

  test("has its timeout enforced and passed on", async () => {
    const error = await failureOf(client().echo({ delayMs: 3_000 }, { timeoutMs: 100 }));
    expect(error.code).toBe(ConnectCode.DeadlineExceeded);
    const answer = await client().echo({}, { timeoutMs: 700 });
    expect(Number(answer.remainingMs)).toBeGreaterThan(200);
    expect(Number(answer.remainingMs)).toBeLessThanOrEqual(700);
  });

  test("cancels the call at the service within 100 ms of going", async () => {
    const before = cancelled;
    const controller = new AbortController();
    const call = failureOf(client().echo({ delayMs: 4_000 }, { signal: controller.signal }));
    await new Promise((resolve) => setTimeout(resolve, 100));
    controller.abort();
    const abortedMs = performance.now();
    await call;
    await eventually(() => expect(cancelled).toBe(before + 1));
    expect(performance.now() - abortedMs).toBeLessThan(300);
  });

  test("does not find a method that is not exposed", async () => {
    expect((await failureOf(client().inside({}))).code).toBe(ConnectCode.Unimplemented);
  });

  test("reads a server's stream, and the error that ends it", async () => {
    const answers = await collectAll(client().count({ count: 3 }));
    expect(answers.map(({ index }) => index)).toEqual([0, 1, 2]);
    const seen: number[] = [];
    const error = await failureOf(
      (async () => {
        for await (const { index } of client().count({ count: 2, code: 9 })) seen.push(index);
      })(),
    );
    expect(error.code).toBe(ConnectCode.FailedPrecondition);
    expect(seen).toEqual([0, 1]);
  });

  // gRPC-Web has no streams towards the server; HTTP/1.1 none in both directions.
  if (name.startsWith("gRPC-Web")) return;

  test("sends a stream", async () => {
    expect((await client().collect(all("a", "b", "c"))).texts).toEqual(["a", "b", "c"]);
  });

  if (name.includes("1.1")) return;

  test("talks in both directions", async () => {
    const answers = await collectAll(client().chat(all("a", "b")));
    expect(answers.map(({ text, index }) => `${index}${text}`)).toEqual(["0a", "1b"]);
  });
});

describe("REST over HTTP/2", () => {
  test("answers beside HTTP/1.1 on the same port", async () => {
    const session = connectHttp2(rig.url);
    const ask = (headers: Record<string, string>, body = ""): Promise<{ status: number; body: string }> =>
      new Promise((resolve, reject) => {
        const stream = session.request(headers);
        let status = 0;
        let text = "";
        stream.setEncoding("utf8");
        stream.on("response", (fields) => (status = Number(fields[":status"])));
        stream.on("data", (chunk: string) => (text += chunk));
        stream.on("end", () => resolve({ status, body: text }));
        stream.on("error", reject);
        if (body !== "") stream.end(body);
      });
    const got = await ask({ ":path": "/v1/fixture/h2%20c" });
    expect(got.status).toBe(200);
    expect(JSON.parse(got.body)).toMatchObject({ text: "h2 c" });
    const posted = await ask(
      { ":path": "/v1/fixture:echo", ":method": "POST", "content-type": "application/json" },
      '{"text":"p"}',
    );
    expect(JSON.parse(posted.body)).toMatchObject({ text: "p" });
    expect(await ask({ ":path": "/v1/fixture/x", ":method": "HEAD" })).toEqual({ status: 200, body: "" });
    expect((await ask({ ":path": "/healthz", ":authority": "127.0.0.1:abc" })).status).toBe(400);
    await expect(ask({ ":path": "/healthz", "x-large": "x".repeat(17_000) })).rejects.toThrow("ENHANCE_YOUR_CALM");
    expect((await ask({ ":path": `/${"x".repeat(9_000)}` })).status).toBe(414);
    const large = await ask({ ":path": "/v1/fixture:echo", ":method": "POST" }, `{"text":"${"x".repeat(5_000_000)}"}`);
    expect(large.status).toBe(429);
    expect((await ask({ ":path": "/healthz" })).status).toBe(200);
    session.close();
  });
});
