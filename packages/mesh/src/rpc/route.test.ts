import { createFakeClock, eventually } from "@protoloom/testing";
import { describe, expect, test } from "vitest";
import { Code } from "../base/code.ts";
import { createEndpoint } from "../base/endpoint.ts";
import { silentLogger } from "../base/logger.ts";
import type { EndpointSet, Resolver } from "../discovery/resolver.ts";
import { createTransport } from "./create-transport.ts";
import { answer, frame, startRawServer } from "./test-servers/raw-server.ts";
import type { ByteCall } from "./transport.ts";

const call = (timeoutMs = 5_000): ByteCall => ({
  path: "/raw.v1.Raw/Call",
  metadata: {},
  deadline: performance.now() + timeoutMs,
});

/** A resolver whose watches are what `watch` gives. */
function resolverOf(watch: (watches: number) => AsyncIterable<EndpointSet>): Resolver & { readonly watches: number } {
  let watches = 0;
  return {
    watch: () => watch(watches++),
    watchServices: () => expect.fail("nobody asks for the services"),
    get watches() {
      return watches;
    },
    async [Symbol.asyncDispose]() {},
  };
}

describe("the route of a service", () => {
  test("is watched from the first call on, and once", async () => {
    await using server = await startRawServer((stream) => answer(stream, frame(Buffer.from("answer"))));
    const resolver = resolverOf(async function* () {
      yield { endpoints: [server.endpoint], confirmedAtMs: 0 };
      await new Promise(() => {});
    });
    await using transport = createTransport({ resolver });
    const service = transport.service("raw");
    expect(resolver.watches).toBe(0);
    await Promise.all([service.unary(call(), Buffer.alloc(0)), transport.service("raw").unary(call(), Buffer.alloc(0))]);
    expect(resolver.watches).toBe(1);
  });

  test("makes calls wait for the first set, and they fail when none comes", async () => {
    await using server = await startRawServer((stream) => answer(stream, frame(Buffer.from("answer"))));
    const { promise, resolve } = Promise.withResolvers<EndpointSet>();
    const resolver = resolverOf(async function* () {
      yield await promise;
    });
    await using transport = createTransport({ resolver, settings: { firstSetTimeoutMs: 200 } });
    const service = transport.service("raw");
    await expect(service.unary(call(), Buffer.alloc(0))).rejects.toMatchObject({ code: Code.UNAVAILABLE, reason: "NO_INSTANCE" });
    await expect(service.unary(call(20), Buffer.alloc(0))).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
    const waiting = service.unary(call(), Buffer.alloc(0));
    resolve({ endpoints: [server.endpoint], confirmedAtMs: 0 });
    expect((await waiting).endpoint.key).toBe(server.endpoint.key);
  });

  test("survives a watch that breaks: the last set stays, and the watch begins again", async () => {
    const endpoint = createEndpoint("127.0.0.1", 1);
    const clock = createFakeClock();
    const broken: unknown[] = [];
    const resolver = resolverOf(async function* (watches) {
      yield { endpoints: [endpoint], confirmedAtMs: 0 };
      if (watches === 0) throw new Error("broken");
      await new Promise(() => {});
    });
    const logger = { ...silentLogger, error: (fields: object) => broken.push(fields) };
    await using transport = createTransport({ resolver, clock, logger });
    void transport
      .service("raw")
      .unary({ ...call(), deadline: Number.POSITIVE_INFINITY }, Buffer.alloc(0))
      .catch(() => {});
    await eventually(() => broken.length === 1);
    await clock.advance(1_000);
    expect(resolver.watches).toBe(2);
    expect(broken).toEqual([{ service: "raw", err: expect.objectContaining({ message: "broken" }) }]);
  });
});
