import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { eventually } from "@protoloom/testing";
import { describe, expect, test } from "vitest";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { createConsulClient } from "./consul-client.ts";
import type { ConsulClient } from "./consul-client.ts";
import { fromConsul, httpStatus } from "./from-consul.ts";

describe("the registry's client", () => {
  test("sends paths, flags, waits and the token as Consul reads them", async () => {
    await using server = await serve((_, response) => response.setHeader("x-consul-index", "7").end("[]"));
    await using client = createConsulClient({ address: server.address, token: "secret" });
    await client.healthService("a b/c", { passing: true, stale: true, index: 2n ** 60n, waitMs: 1_500 });
    await client.healthService("user");
    await client.beat("service:user-1", "critical", { note: "not now" });
    expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "GET /v1/health/service/a%20b%2Fc?passing=1&stale=&index=1152921504606846976&wait=1500ms",
      "GET /v1/health/service/user",
      "PUT /v1/agent/check/fail/service%3Auser-1?note=not%20now",
    ]);
    expect(server.requests.every(({ headers }) => headers["x-consul-token"] === "secret")).toBe(true);
  });

  test("registers an instance with a TTL check under the id that Consul would give it", async () => {
    await using server = await serve((_, response) => response.end());
    await using client = createConsulClient({ address: server.address });
    const meta = { version: "1" };
    await client.registerService({
      id: "user-h-1",
      name: "user",
      host: "h",
      port: 1,
      meta,
      ttlMs: 3_000,
      status: "passing",
      removeCriticalAfterMs: 60_000,
    });
    expect(server.requests[0]?.url).toBe("/v1/agent/service/register?replace-existing-checks=true");
    expect(JSON.parse(server.bodies[0] ?? "")).toEqual({
      ID: "user-h-1",
      Name: "user",
      Address: "h",
      Port: 1,
      Meta: meta,
      Check: { CheckID: "service:user-h-1", TTL: "3000ms", Status: "passing", DeregisterCriticalServiceAfter: "60000ms" },
    });
  });

  test("reads an index beyond 2^53 exactly, and none as 0", async () => {
    let index: string | undefined = "9007199254740993";
    await using server = await serve((_, response) => {
      if (index !== undefined) response.setHeader("x-consul-index", index);
      response.end("{}");
    });
    await using client = createConsulClient({ address: server.address });
    expect((await client.catalogServices()).index).toBe(9_007_199_254_740_993n);
    index = undefined;
    expect((await client.catalogServices()).index).toBe(0n);
    index = "-1";
    expect((await client.catalogServices()).index).toBe(0n);
  });

  test.each([
    [400, Code.INVALID_ARGUMENT],
    [401, Code.UNAUTHENTICATED],
    [403, Code.PERMISSION_DENIED],
    [404, Code.NOT_FOUND],
    [405, Code.UNIMPLEMENTED],
    [429, Code.RESOURCE_EXHAUSTED],
    [500, Code.UNAVAILABLE],
    [503, Code.UNAVAILABLE],
  ])("turns status %i into code %i, with the status and what was said", async (status, code) => {
    await using server = await serve((_, response) => response.writeHead(status, { "retry-after": "3" }).end("no\n"));
    await using client = createConsulClient({ address: server.address });
    const error = await failure(client.self());
    expect(error.code).toBe(code);
    expect(error.detail).toBe(`registry: GET /agent/self: ${status} no`);
    expect(error.info).toEqual({ httpStatus: `${status}`, retryAfterMs: "3000" });
    expect(error.cause).toBeDefined();
    expect(httpStatus(error)).toBe(status);
  });

  test.each([
    ["no JSON", '[{"Node":'],
    ["nothing", ""],
    ["an object for an array", "{}"],
    ["null", "null"],
    ["an entry without service", "[{}]"],
    ["a port that is none", '[{"Node":{"Address":"h"},"Service":{"ID":"a","Address":"","Port":99999},"Checks":[]}]'],
  ])("refuses %s as an answer", async (_, body) => {
    await using server = await serve((_request, response) => response.end(body));
    await using client = createConsulClient({ address: server.address });
    expect((await failure(client.healthService("user"))).code).toBe(Code.INTERNAL);
  });

  test("does not wait for an answer that has broken off", async () => {
    await using server = await serve((_, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("[", () => response.destroy());
    });
    await using client = createConsulClient({ address: server.address, timeoutMs: 60_000 });
    expect((await failure(client.healthService("user"))).code).toBe(Code.UNAVAILABLE);
  });

  test("does not wait longer than it says, and says so", async () => {
    await using server = await serve(() => {});
    await using client = createConsulClient({ address: server.address, timeoutMs: 50 });
    expect((await failure(client.self())).code).toBe(Code.DEADLINE_EXCEEDED);
  });

  test("ends a request with the signal's reason, and at the registry too", async () => {
    await using server = await serve(() => {});
    await using client = createConsulClient({ address: server.address });
    const stop = new AbortController();
    const reason = new Error("no longer needed");
    const asked = client.healthService("user", { index: 1n, signal: stop.signal });
    const request = await eventually(() => server.requests[0]);
    stop.abort(reason);
    await expect(asked).rejects.toBe(reason);
    await eventually(() => request.destroyed);
    await expect(client.self({ signal: stop.signal })).rejects.toBe(reason);
  });

  test("ends open requests when it is disposed, and makes no more", async () => {
    await using server = await serve(() => {});
    const client = createConsulClient({ address: server.address });
    const asked = failure(client.self());
    await eventually(() => server.requests.length === 1);
    await client[Symbol.asyncDispose]();
    expect((await asked).code).toBe(Code.UNAVAILABLE);
    expect((await failure(client.self())).code).toBe(Code.CANCELLED);
  });

  test("speaks to an IPv6 address", async () => {
    await using server = await serve(
      (_, response) => response.end('{"Config":{"Datacenter":"d","NodeName":"n","Version":"v"}}'),
      "::1",
    );
    await using client = createConsulClient({ address: server.address });
    expect(await client.self()).toEqual({ datacenter: "d", nodeName: "n", version: "v" });
  });

  test("takes an error that is one already as it is", () => {
    const error = new MeshError(Code.ABORTED, "x");
    expect(fromConsul(error, "GET /")).toBe(error);
    expect(httpStatus(error)).toBeUndefined();
    expect(httpStatus("text")).toBeUndefined();
  });
});

async function failure(promise: Promise<unknown>): Promise<MeshError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MeshError) return error;
    throw error;
  }
  throw new Error("did not fail");
}

interface RecordingServer extends AsyncDisposable {
  readonly address: ConsulClient["address"];
  readonly requests: readonly IncomingMessage[];
  readonly bodies: readonly string[];
}

async function serve(answer: RequestListener, host = "127.0.0.1"): Promise<RecordingServer> {
  const requests: IncomingMessage[] = [];
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString("utf8")));
    request.on("end", () => {
      bodies.push(body);
      answer(request, response);
    });
  }).listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: host.includes(":") ? `http://[${host}]:${port}` : `http://${host}:${port}`,
    requests,
    bodies,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
