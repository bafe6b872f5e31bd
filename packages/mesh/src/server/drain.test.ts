import { Client, credentials } from "@grpc/grpc-js";
import type { CallOptions, ServiceError } from "@grpc/grpc-js";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { eventually } from "@protoloom/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { createEnvReader } from "../base/env-reader.ts";
import { silentLogger } from "../base/logger.ts";
import type { Registrar } from "../discovery/registrar.ts";
import { implement, withoutDeadline } from "./implement.ts";
import { serve } from "./serve.ts";
import type { ServeOptions, Server } from "./serve.ts";
import { readServerConfig } from "./server-config.ts";

const { echo, count } = FixtureService.definition;
const fixture = implement(FixtureService, createFixtureService({ instance: () => "" }));

async function start(options: Partial<ServeOptions>, env: Record<string, string>): Promise<{ server: Server; client: Client }> {
  const server = await serve({
    services: [fixture],
    config: readServerConfig(createEnvReader(env)),
    logger: silentLogger,
    ...options,
  });
  await server.ready();
  const client = new Client(server.address, credentials.createInsecure());
  onTestFinished(async () => {
    client.close();
    await server.drain();
  });
  return { server, client };
}

function call(client: Client, delayMs: number): Promise<ServiceError | null> {
  return new Promise((resolve) => {
    const request = FixtureService.requests.echo({ delayMs });
    client.makeUnaryRequest(echo.path, echo.requestSerialize, echo.responseDeserialize, request, resolve);
  });
}

interface Reading {
  readonly indexes: number[];
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
}

function read(client: Client, request: { count: number; intervalMs: number }, options: CallOptions = {}): Reading {
  const indexes: number[] = [];
  const stream = client.makeServerStreamRequest(
    count.path,
    count.requestSerialize,
    count.responseDeserialize,
    FixtureService.requests.count(request),
    options,
  );
  const ended = new Promise<{ code: number; details: string }>((resolve) => stream.on("status", resolve));
  stream.on("error", () => {}).on("data", ({ index }: { index: number }) => indexes.push(index));
  return { indexes, ended };
}

describe("a drain", () => {
  test("deregisters, keeps serving until clients have seen it, finishes what is in flight, and fails nothing", async () => {
    const log: string[] = [];
    const registrar: Registrar = {
      register: () => ({
        id: "fixture-1",
        registered: true,
        ready: async () => {},
        setServing: () => {},
        async deregister() {
          log.push("deregistered");
        },
        async [Symbol.asyncDispose]() {},
      }),
    };
    const { server, client } = await start({ registrar }, { MESH_DRAIN_NOTICE_MS: "300", MESH_DRAIN_TIMEOUT_MS: "3000" });
    const inFlight = Array.from({ length: 20 }, () => call(client, 800));
    const stream = read(client, { count: 20, intervalMs: 40 });
    await eventually(() => stream.indexes.length > 0);

    const drained = server.drain().then(() => log.push("drained"));
    await eventually(() => log.length === 1);
    // Clients that have not seen the deregistration still call: every one of them is served.
    const late: Promise<ServiceError | null>[] = [];
    for (let index = 0; index < 10; index += 1) {
      late.push(call(client, 0));
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    expect(await Promise.all(late)).toEqual(late.map(() => null));
    expect(await Promise.all(inFlight)).toEqual(inFlight.map(() => null));
    await expect(stream.ended).resolves.toMatchObject({ code: 0 });
    expect(stream.indexes).toHaveLength(20);
    await drained;
    expect(log).toEqual(["deregistered", "drained"]);
  });

  test("ends streams that never end by themselves at once, with a status that says to come back", async () => {
    const endless = withoutDeadline(fixture);
    const { server, client } = await start({ services: [endless] }, { MESH_DRAIN_NOTICE_MS: "0", MESH_DRAIN_TIMEOUT_MS: "5000" });
    const streams = [{}, { deadline: Date.now() + 60_000 }].map((options) =>
      read(client, { count: 1_000_000, intervalMs: 5 }, options),
    );
    await eventually(() => streams.every(({ indexes }) => indexes.length > 0));
    const startedMs = performance.now();
    await server.drain();
    for (const { ended } of streams)
      await expect(ended).resolves.toMatchObject({ code: 14, details: "the instance is shutting down" });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  test("ends what is left near the end of its timeout, and not later", async () => {
    const { server, client } = await start({}, { MESH_DRAIN_NOTICE_MS: "0", MESH_DRAIN_TIMEOUT_MS: "800" });
    const stuck = call(client, 4_000);
    const stream = read(client, { count: 1_000, intervalMs: 20 });
    await eventually(() => stream.indexes.length > 0);
    const startedMs = performance.now();
    const drained = server.drain();
    await expect(stuck).resolves.toMatchObject({ code: 14, details: "the instance is shutting down" });
    expect(performance.now() - startedMs).toBeGreaterThan(600);
    await expect(stream.ended).resolves.toMatchObject({ code: 14, details: "the instance is shutting down" });
    await drained;
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  test("does not wait for a registry that does not answer", async () => {
    const registrar: Registrar = {
      register: () => ({
        id: "fixture-1",
        registered: true,
        ready: async () => {},
        setServing: () => {},
        deregister: () => new Promise(() => {}),
        async [Symbol.asyncDispose]() {},
      }),
    };
    const { server } = await start({ registrar }, { MESH_DRAIN_NOTICE_MS: "0", MESH_DRAIN_TIMEOUT_MS: "800" });
    const startedMs = performance.now();
    await server.drain();
    expect(performance.now() - startedMs).toBeLessThan(800);
  });

  test("twice is once, and nothing listens afterwards", async () => {
    const { server, client } = await start({}, { MESH_DRAIN_NOTICE_MS: "0" });
    expect(await call(client, 0)).toBeNull();
    const first = server.drain();
    expect(server.drain()).toBe(first);
    await first;
    await server[Symbol.asyncDispose]();
    expect(await call(client, 0)).toMatchObject({ code: 14 });
    await expect(fetch(`http://${server.adminAddress}/livez`)).rejects.toThrow();
    await expect(server.ready()).resolves.toBeUndefined();
  });

  test("says on the admin listener that it drains, and ends the wait for a server that was never ready", async () => {
    const server = await serve({
      services: [fixture],
      config: readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "300" })),
      logger: silentLogger,
      ready: () => false,
    });
    const waiting = expect(server.ready()).rejects.toMatchObject({ code: 14, reason: "DRAINING" });
    const drained = server.drain();
    const response = await fetch(`http://${server.adminAddress}/readyz`);
    expect([response.status, await response.json()]).toEqual([503, { ready: false, reasons: ["draining"] }]);
    await drained;
    await waiting;
  });
});
