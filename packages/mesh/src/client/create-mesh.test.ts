import { eventually } from "@protoloom/testing";
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import { UserService } from "@protoloom/contracts";
import { FixtureService } from "@protoloom/fixture";
import type { EchoResponse } from "@protoloom/fixture/v1";
import { runInCall } from "../base/call-context.ts";
import type { CallContext } from "../base/call-context.ts";
import { Code } from "../base/code.ts";
import { createEnvReader } from "../base/env-reader.ts";
import { silentLogger } from "../base/logger.ts";
import { MeshError } from "../base/mesh-error.ts";
import { createStaticResolver } from "../discovery/static-resolver.ts";
import { startFixtureServer } from "../rpc/test-servers/fixture-server.ts";
import type { FixtureServer } from "../rpc/test-servers/fixture-server.ts";
import type { Client } from "./client.ts";
import { createMesh } from "./create-mesh.ts";
import type { Mesh } from "./create-mesh.ts";
import { readMeshConfig } from "./mesh-config.ts";

let servers: FixtureServer[];
let mesh: Mesh;
let fixture: Client<typeof FixtureService>;

beforeEach(async () => {
  servers = [await startFixtureServer(), await startFixtureServer()];
  const registrar = { register: () => expect.fail("nothing is registered here") };
  const resolver = createStaticResolver({ fixture: servers.map(({ endpoint }) => endpoint) });
  mesh = createMesh({ registryUrl: "http://127.0.0.1:1" }, { discovery: { registrar, resolver } });
  fixture = mesh.client(FixtureService);
});

afterEach(async () => {
  await mesh[Symbol.asyncDispose]();
  for (const server of servers) server[Symbol.dispose]();
});

const cancelled = (): number => servers.reduce((sum, server) => sum + server.cancelled, 0);
const has = (id: string): boolean => servers.some(({ ledger }) => ledger.has(id));

function incoming(signal: AbortSignal, timeoutMs: number): CallContext {
  return {
    method: "caller.v1.Caller/Call",
    deadline: performance.now() + timeoutMs,
    signal,
    metadata: {},
    peer: "127.0.0.1:1",
    attempt: 1,
    requestId: "request-7",
    traceparent: undefined,
    log: silentLogger,
    setHeader: () => {},
    setTrailer: () => {},
  };
}

describe("mesh.client", () => {
  test("has the types of the contract", () => {
    expectTypeOf(fixture.echo).returns.resolves.toEqualTypeOf<EchoResponse>();
    expectTypeOf(fixture.echo).parameter(0).toHaveProperty("text");
    expectTypeOf(fixture.count).returns.toEqualTypeOf<AsyncIterable<EchoResponse>>();
    // @ts-expect-error: not a field of the request
    void (() => fixture.echo({ txt: "" }));
    // @ts-expect-error: not a method of the service
    void (() => fixture.nothing({}));
    expect(Object.keys(mesh.client(UserService))).toContain("getUser");
  });

  test("makes calls of all four kinds", async () => {
    expect(await fixture.echo({ text: "one" })).toMatchObject({ text: "one" });
    const counted: number[] = [];
    for await (const { index } of fixture.count({ count: 3 })) counted.push(index);
    expect(counted).toEqual([0, 1, 2]);
    expect((await fixture.collect([{ text: "a" }, { text: "b" }])).texts).toEqual(["a", "b"]);
    async function* ask(): AsyncGenerator<{ text: string }> {
      yield { text: "x" };
      yield { text: "y" };
    }
    const chatted: string[] = [];
    for await (const { text } of fixture.chat(ask())) chatted.push(text);
    expect(chatted).toEqual(["x", "y"]);
  });

  test("spreads its calls over the instances", async () => {
    await Promise.all(Array.from({ length: 200 }, (_, index) => fixture.echo({ id: `spread-${index}` })));
    for (const { ledger } of servers) expect(ledger.size).toBeGreaterThan(40);
  });

  test("fails with the MeshError of the server, or of the deadline", async () => {
    await expect(fixture.echo({ code: Code.ALREADY_EXISTS, message: "there" })).rejects.toMatchObject({
      name: "MeshError",
      code: Code.ALREADY_EXISTS,
      detail: "there",
    });
    await expect(fixture.echo({ delayMs: 2_000 }, { timeoutMs: 40 })).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    await expect(fixture.echo({}, { timeoutMs: Number.NaN })).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
    await expect(fixture.echo({ delayMs: -1 })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      reason: "MALFORMED_REQUEST",
    });
  });

  test("takes the timeout of the policy, and never more than its maximum", async () => {
    const byPolicy = Number((await fixture.echo({})).remainingMs);
    expect(byPolicy).toBeGreaterThan(4_000);
    expect(byPolicy).toBeLessThanOrEqual(5_001);
    const clamped = Number((await fixture.echo({}, { timeoutMs: 10_000_000 })).remainingMs);
    expect(clamped).toBeGreaterThan(58_000);
    expect(clamped).toBeLessThanOrEqual(60_001);
  });

  test("carries the incoming call on: its deadline, its cancellation and its request id", async () => {
    const controller = new AbortController();
    const { remainingMs } = await runInCall(incoming(controller.signal, 300), () => fixture.echo({}));
    expect(Number(remainingMs)).toBeLessThanOrEqual(301);
    expect(servers.some(({ lastMetadata }) => lastMetadata["x-request-id"] === "request-7")).toBe(true);
    const reason = new MeshError(Code.UNAVAILABLE, "the instance is shutting down", { reason: "DRAINING" });
    const answered = runInCall(incoming(controller.signal, 5_000), () =>
      fixture.echo({ delayMs: 2_000, id: "carried" }, { signal: new AbortController().signal }),
    );
    await eventually(() => has("carried"));
    controller.abort(reason);
    await expect(answered).rejects.toBe(reason);
    await eventually(() => cancelled() === 1, { timeoutMs: 200 });
  });

  test("sends metadata", async () => {
    await fixture.echo({}, { metadata: { "x-a": ["1", "2"] } });
    expect(servers.some(({ lastMetadata }) => lastMetadata["x-a"] === "1, 2" || lastMetadata["x-a"] === "1")).toBe(true);
  });

  test("cancels a stream whose reader leaves, and closes the requests", async () => {
    for await (const _ of fixture.count({ count: 100_000, padBytes: 1_000 })) break;
    await eventually(() => cancelled() === 1, { timeoutMs: 200 });
    let closed = false;
    async function* endless(): AsyncGenerator<{ text: string }> {
      try {
        for (;;) yield { text: "more" };
      } finally {
        closed = true;
      }
    }
    for await (const _ of fixture.chat(endless())) break;
    await eventually(() => closed);
  });

  test("fails with what the caller's own requests throw", async () => {
    const failure = new Error("the file has gone");
    async function* failing(): AsyncGenerator<{ text: string }> {
      yield { text: "first" };
      throw failure;
    }
    await expect(fixture.collect(failing())).rejects.toBe(failure);
    const chat = async (): Promise<void> => {
      for await (const _ of fixture.chat(failing()));
    };
    await expect(chat()).rejects.toBe(failure);
  });

  test("leaves a stream alone that is never iterated", async () => {
    fixture.count({ count: 1 });
    await fixture.echo({ id: "after" });
    expect(cancelled()).toBe(0);
  });
});

describe("the configuration of a mesh", () => {
  test("is Consul's own", () => {
    expect(readMeshConfig(createEnvReader({}))).toEqual({ registryUrl: "http://127.0.0.1:8500" });
    const env = { CONSUL_HTTP_ADDR: "10.0.0.1:8501", CONSUL_HTTP_TOKEN: "token" };
    expect(readMeshConfig(createEnvReader(env))).toEqual({ registryUrl: "http://10.0.0.1:8501", registryToken: "token" });
  });
});
