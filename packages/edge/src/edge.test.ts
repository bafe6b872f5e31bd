import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Code, MeshError, createStaticResolver, createTransport, silentLogger } from "@protoloom/mesh";
import type { Endpoint, Instance, Registrar } from "@protoloom/mesh";
import { createLogRecorder } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith, part } from "../../../tools/parts.ts";
import { serviceOf, testContract } from "../test/contract.ts";
import { implementEcho, send, startRig, startUpstream } from "../test/rig.ts";
import type { Rig } from "../test/rig.ts";
import { createEdge } from "./edge.ts";

const cleanup = new AsyncDisposableStack();
let rig: Rig;
let endpoint: Endpoint;
const { logger, lines } = createLogRecorder();

beforeAll(async () => {
  const upstream = await startUpstream(
    implementEcho(serviceOf(testContract), {
      GetNested(request) {
        const leaf = (request["inner"] as { leaf: string }).leaf;
        throw new MeshError(Number(leaf) as Code, `fail ${leaf}`, {
          details: [{ typeName: "acme.Unknown", value: Buffer.from("xyz") }],
        });
      },
      Download: ({ id }) => ({ contentType: "text/html", data: Buffer.from(`<p>${id as string}</p>`) }),
      GetItems: () => ({ items: [], text: "t" }),
      GetEmpty: () => ({}),
      async *Ticks({ id = "0" }) {
        const [count = 0, failAfter] = (id as string).split("-").map(Number);
        for (let num = 1; num <= count; num += 1) {
          if (failAfter !== undefined && num > failAfter) throw new MeshError(Code.NOT_FOUND, "gone");
          yield { num };
        }
      },
      async *Blobs() {
        yield* ["one", "two"].map((text) => ({ contentType: "text/plain", data: Buffer.from(text) }));
      },
      async GetDeep(_request, { signal }) {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
        return undefined;
      },
    }),
  );
  endpoint = upstream.endpoint;
  cleanup.defer(() => upstream.server.drain());
  rig = await startRig({ edgetest: [upstream.endpoint] }, { logger });
  cleanup.use(rig);
});

afterAll(() => cleanup.disposeAsync());

const json = { "content-type": "application/json" };

describe("REST", () => {
  test("answers in JSON, Empty as {}", async () => {
    const answer = await send(rig.port, { path: "/empty" });
    expect([answer.status, answer.headers["content-type"], answer.body]).toEqual([200, "application/json", "{}"]);
  });

  test("answers HEAD as GET without a body, OPTIONS and wrong methods with what is allowed", async () => {
    const head = await send(rig.port, { method: "HEAD", path: "/empty" });
    expect([head.status, head.headers["content-length"], head.body]).toEqual([200, "2", ""]);
    const options = await send(rig.port, { method: "OPTIONS", path: "/empty" });
    expect([options.status, options.headers["allow"]]).toEqual([204, "GET, HEAD"]);
    const put = await send(rig.port, { method: "PUT", path: "/empty" });
    expect([put.status, put.headers["allow"]]).toEqual([405, "GET, HEAD"]);
    expect(JSON.parse(put.body)).toMatchObject({ code: Code.UNIMPLEMENTED, details: [{ reason: "METHOD_NOT_ALLOWED" }] });
  });

  test("gives a response_body alone, and an HttpBody as it is", async () => {
    expect((await send(rig.port, { path: "/shelf/1" })).body).toBe("[]");
    const page = await send(rig.port, { path: "/files/a" });
    expect([page.headers["content-type"], page.body]).toEqual(["text/html", "<p>a</p>"]);
  });

  test.each([
    [1, 499],
    [2, 500],
    [3, 400],
    [4, 504],
    [5, 404],
    [6, 409],
    [7, 403],
    [8, 429],
    [9, 400],
    [10, 409],
    [11, 400],
    [12, 501],
    [13, 500],
    [14, 503],
    [15, 500],
    [16, 401],
  ])("answers gRPC code %i as %i, with google.rpc.Status, a detail of unknown type in base64", async (code, status) => {
    const answer = await send(rig.port, { path: `/nested/${code}` });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toEqual({
      code,
      message: `fail ${code}`,
      details: [{ "@type": "type.googleapis.com/acme.Unknown", value: "eHl6" }],
    });
  });

  test("answers an unknown path with google.rpc.Status, unknown names in Connect and gRPC in theirs", async () => {
    const rest = await send(rig.port, { path: "/nope" });
    expect([rest.status, JSON.parse(rest.body)]).toEqual([404, expect.objectContaining({ code: Code.NOT_FOUND })]);
    const grpc = await send(rig.port, { method: "POST", path: "/a.B/C", headers: { "content-type": "application/grpc" } });
    expect([grpc.status, grpc.headers["grpc-status"]]).toEqual([200, "12"]);
  });

  test.each<[Record<string, string>, number]>([
    [{ "grpc-timeout": "50m" }, 504],
    [{ "x-server-timeout": "0.05" }, 504],
    [{ "connect-timeout-ms": "50" }, 504],
    [{ "connect-timeout-ms": "0" }, 504],
    [{ "grpc-timeout": "1n" }, 504],
    [{ "grpc-timeout": "INVALID" }, 400],
    [{ "grpc-timeout": "-5S" }, 400],
    [{ "grpc-timeout": "123456789S" }, 400],
    [{ "x-server-timeout": "1e3" }, 400],
    [{ "connect-timeout-ms": "12345678901" }, 400],
  ])("with %j gets %i", async (headers, status) => {
    const startedMs = performance.now();
    expect((await send(rig.port, { path: "/deep/files/x", headers })).status).toBe(status);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});

describe("a REST stream", () => {
  const gone = '{"error":{"code":5,"message":"gone"}}';

  test.each<[string, string, string, string]>([
    ["3", "", "application/json", '[{"num":1},{"num":2},{"num":3}]'],
    ["0", "application/json", "application/json", "[]"],
    ["2", "application/x-ndjson", "application/x-ndjson", '{"num":1}\n{"num":2}\n'],
    ["1", "text/event-stream", "text/event-stream", 'data: {"num":1}\n\n'],
    ["1", "text/event-stream;q=0.5, application/x-ndjson", "application/x-ndjson", '{"num":1}\n'],
    ["3-2", "", "application/json", `[{"num":1},{"num":2},${gone}]`],
    ["3-1", "application/x-ndjson", "application/x-ndjson", `{"num":1}\n${gone}\n`],
    ["3-1", "text/event-stream", "text/event-stream", `data: {"num":1}\n\nevent: error\ndata: ${gone}\n\n`],
  ])("of %s with Accept %j is %s", async (id, accept, type, body) => {
    const answer = await fetch(`${rig.url}/ticks/${id}`, { headers: { accept } });
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([200, type, body]);
  });

  test("that fails before its first message is a plain error", async () => {
    const answer = await fetch(`${rig.url}/ticks/3-0`);
    expect([answer.status, await answer.json()]).toEqual([404, { code: 5, message: "gone" }]);
  });

  test("of google.api.HttpBody is its bytes one after another", async () => {
    const answer = await fetch(`${rig.url}/blobs/x`);
    expect([answer.headers.get("content-type"), await answer.text()]).toEqual(["text/plain", "onetwo"]);
  });

  test.each([
    ["application/x-ndjson", '{"title":"A"}\r\n\n{"title":"B"}'],
    ["application/json", ' [{"title":"A"}, {"title":"B"}] '],
  ])("towards the service is read from %s, path and query in its first message", async (type, body) => {
    const answer = await fetch(`${rig.url}/shelves/1/items:import?itemId=i`, {
      method: "POST",
      headers: { "content-type": type },
      body,
    });
    const { requestJson } = (await answer.json()) as { requestJson: string };
    expect(JSON.parse(requestJson)).toEqual([
      { parent: "shelves/1", itemId: "i", item: { title: "A" } },
      { item: { title: "B" } },
    ]);
  });

  test.each([
    ["application/json", '[{"title":"A"},{"title":1}]', 400],
    ["application/json", '{"title":"A"}', 400],
    ["application/x-ndjson", "{", 400],
    ["text/plain", "[]", 415],
  ])("towards the service that is broken is refused: %s %s", async (type, body, status) => {
    const answer = await fetch(`${rig.url}/shelves/1/items:import`, { method: "POST", headers: { "content-type": type }, body });
    expect(answer.status).toBe(status);
  });
});

describe("Connect", () => {
  const call = (path: string, headers: Record<string, string>, body: string) =>
    send(rig.port, { method: "POST", path: `/edgetest.v1.EchoService/${path}`, headers, body });

  test("takes curl's plain JSON, and refuses other versions, types and broken JSON in its own form", async () => {
    expect((await call("GetPath", json, '{"id":"1"}')).body).toContain('\\"id\\":\\"1\\"');
    expect((await call("GetPath", { ...json, "connect-protocol-version": "2" }, "{}")).status).toBe(400);
    const text = await call("GetPath", { "content-type": "text/plain" }, "{}");
    expect([text.status, text.headers["accept-post"]]).toEqual([415, "application/json, application/proto"]);
    const broken = await call("GetPath", json, '{"id":');
    expect([broken.status, JSON.parse(broken.body)]).toEqual([400, expect.objectContaining({ code: "invalid_argument" })]);
    expect((await call("GetPath", json, "")).status).toBe(400);
  });

  test("has GET for methods without side effects alone", async () => {
    const answer = await send(rig.port, { path: "/edgetest.v1.EchoService/GetPath?connect=v1&encoding=json&message=%7B%7D" });
    expect([answer.status, answer.headers["allow"]]).toEqual([405, "POST"]);
  });
});

describe("an edge", () => {
  test("says that it lives, and what it serves", async () => {
    expect(JSON.parse((await send(rig.port, { path: "/healthz" })).body)).toEqual({ status: "alive" });
    expect(JSON.parse((await send(rig.port, { path: "/readyz" })).body)).toEqual({
      status: "ready",
      services: [{ name: "edgetest", services: ["edgetest.v1.EchoService"] }],
    });
    expect((await send(rig.port, { method: "HEAD", path: "/readyz" })).status).toBe(200);
    expect((await send(rig.port, { method: "POST", path: "/healthz" })).status).toBe(405);
  });

  test("writes one line a request, without its query", async () => {
    lines.length = 0;
    const answer = await send(rig.port, { path: "/paths/x?token=secret" });
    expect(answer.status).toBe(400);
    expect(lines.filter(({ message }) => message === "request")).toEqual([
      expect.objectContaining({
        method: "GET",
        path: "/paths/x",
        rpc: "edgetest.v1.EchoService/GetPath",
        status: 400,
        requestId: answer.headers["x-request-id"],
      }),
    ]);
  });

  test("is not ready, and answers 503, before the registry has been heard", async () => {
    const resolver = createStaticResolver();
    const silent = { ...resolver, watchServices: (signal: AbortSignal) => resolver.watch("never", signal) as never };
    silent.watchServices = async function* (signal: AbortSignal) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      yield* [];
    } as never;
    await using transport = createTransport({ resolver });
    await using edge = await createEdge({ resolver: silent, transport, logger: silentLogger, drainNoticeMs: 0 });
    const port = Number(edge.address.split(":")[1]);
    for (const path of ["/readyz", "/paths/x"]) {
      const answer = await send(port, { path });
      expect([answer.status, answer.headers["retry-after"]]).toEqual([503, "1"]);
    }
    expect((await send(port, { path: "/healthz" })).status).toBe(200);
    await expect(edge.ready(AbortSignal.timeout(20))).rejects.toThrow("timeout");
  });

  test("registers itself, and drains: deregistered first, open requests finish, then nobody listens", async () => {
    const told: string[] = [];
    const registrar: Registrar = {
      register: (instance: Instance) => {
        told.push(`register ${instance.name} ${instance.meta["protocol"]}`);
        return {
          id: "edge",
          registered: true,
          ready: async () => {},
          setServing: (serving) => void told.push(`serving ${serving}`),
          deregister: async () => void told.push("deregister"),
          [Symbol.asyncDispose]: async () => {},
        };
      },
    };
    const draining = await startRig({ edgetest: [endpoint] }, { registrar, drainNoticeMs: 100 });
    const open = send(draining.port, { path: "/deep/files/x", headers: { "x-server-timeout": "0.4" } });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await send(draining.port, { path: "/healthz" })).headers["connection"]).toBe("keep-alive");
    const drained = draining.edge.drain();
    // Whoever keeps connections is told before one is closed while a request is on its way.
    expect(await send(draining.port, { path: "/readyz" })).toMatchObject({ status: 503, headers: { connection: "close" } });
    expect((await open).status).toBe(504);
    await drained;
    expect(told).toEqual(["register edge http", "serving false", "deregister"]);
    await expect(send(draining.port, { path: "/healthz" })).rejects.toThrow("ECONNREFUSED");
    await draining[Symbol.asyncDispose]();
  });
});

describeWith(["grpcurl"], "grpcurl", () => {
  const run = promisify(execFile);
  const grpcurl = async (...args: readonly string[]): Promise<string> =>
    (await run(part("grpcurl") ?? "", ["-plaintext", ...args])).stdout;

  test("lists, describes and calls what is exposed, and nothing else", async () => {
    const address = `127.0.0.1:${rig.port}`;
    expect((await grpcurl(address, "list")).trim().split("\n")).toEqual([
      "edgetest.v1.EchoService",
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
    ]);
    const methods = (await grpcurl(address, "list", "edgetest.v1.EchoService")).trim().split("\n");
    expect(methods).toHaveLength(18);
    expect(methods).not.toContain("edgetest.v1.EchoService.Hidden");
    for (const method of methods) expect(await grpcurl(address, "describe", method)).toContain("rpc");
    expect(await grpcurl("-d", '{"id":"1"}', address, "edgetest.v1.EchoService/GetPath")).toContain("GetPath");
    await expect(grpcurl(address, "edgetest.v1.EchoService/Hidden")).rejects.toThrow('does not include a method named "Hidden"');
    await expect(grpcurl("-d", '{"inner":{"leaf":"5"}}', address, "edgetest.v1.EchoService/GetNested")).rejects.toThrow(
      "NotFound",
    );
  });

  test("asks grpc.health.v1", async () => {
    const address = `127.0.0.1:${rig.port}`;
    expect(await grpcurl(address, "grpc.health.v1.Health/Check")).toContain("SERVING");
    expect(await grpcurl("-d", '{"service":"edgetest.v1.EchoService"}', address, "grpc.health.v1.Health/Check")).toContain(
      "SERVING",
    );
    await expect(grpcurl("-d", '{"service":"nope"}', address, "grpc.health.v1.Health/Check")).rejects.toThrow("NotFound");
    expect(await grpcurl(address, "grpc.health.v1.Health/List")).toContain("edgetest.v1.EchoService");
  });
});
