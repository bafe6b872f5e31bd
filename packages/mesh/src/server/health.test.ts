import { createClient, ConnectError } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { Health, HealthCheckResponse_ServingStatus as Status } from "@protoloom/protos/grpc/health/v1/health_pb";
import { eventually } from "@protoloom/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createEnvReader } from "../base/env-reader.ts";
import { silentLogger } from "../base/logger.ts";
import { implement } from "./implement.ts";
import { serve } from "./serve.ts";
import type { Server } from "./serve.ts";
import { readServerConfig } from "./server-config.ts";

let server: Server;
let client: Client<typeof Health>;
let isSupplied: boolean;

beforeEach(async () => {
  isSupplied = true;
  server = await serve({
    services: [implement(FixtureService, createFixtureService({ instance: () => "" }))],
    config: readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0", MESH_DRAIN_TIMEOUT_MS: "2000" })),
    logger: silentLogger,
    ready: () => isSupplied,
  });
  await server.ready();
  client = createClient(Health, createGrpcTransport({ baseUrl: `http://${server.address}` }));
});

afterEach(() => server.drain());

describe("grpc.health.v1", () => {
  test("Check answers for the process and for each service", async () => {
    for (const service of ["", "fixture.v1.FixtureService"]) {
      await expect(client.check({ service })).resolves.toMatchObject({ status: Status.SERVING });
    }
  });

  test("Check of a service that is not here is NOT_FOUND", async () => {
    await expect(client.check({ service: "no.Such" })).rejects.toMatchObject({ code: 5 });
  });

  test("List names everything with its status", async () => {
    const { statuses } = await client.list({});
    expect(Object.fromEntries(Object.entries(statuses).map(([name, { status }]) => [name, status]))).toEqual({
      "": Status.SERVING,
      "fixture.v1.FixtureService": Status.SERVING,
    });
  });

  test("Watch tells the status and each change of it, and ends when it is cancelled", async () => {
    const stop = new AbortController();
    const seen: Status[] = [];
    const watching = (async () => {
      for await (const { status } of client.watch({ service: "fixture.v1.FixtureService" }, { signal: stop.signal }))
        seen.push(status);
    })();
    await eventually(() => seen.length === 1);
    isSupplied = false;
    await eventually(() => seen.length === 2);
    isSupplied = true;
    await eventually(() => seen.length === 3);
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING]);
    stop.abort();
    await expect(watching).rejects.toBeInstanceOf(ConnectError);
  });

  test("Watch of a service that is not here says SERVICE_UNKNOWN and stays open", async () => {
    const stop = new AbortController();
    const watch = client.watch({ service: "no.Such" }, { signal: stop.signal })[Symbol.asyncIterator]();
    await expect(watch.next()).resolves.toMatchObject({ value: { status: Status.SERVICE_UNKNOWN } });
    const next = watch.next();
    await expect(Promise.race([next, client.check({ service: "" })])).resolves.toMatchObject({ status: Status.SERVING });
    stop.abort();
    await expect(next).rejects.toMatchObject({ code: 1 });
  });

  test("a drain tells watchers NOT_SERVING, and then to come back elsewhere", async () => {
    const seen: Status[] = [];
    const watching = (async () => {
      for await (const { status } of client.watch({ service: "" })) seen.push(status);
    })();
    const ended = expect(watching).rejects.toMatchObject({ code: 14, rawMessage: "the instance is shutting down" });
    await eventually(() => seen.length === 1);
    await server.drain();
    await ended;
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING]);
  });
});
