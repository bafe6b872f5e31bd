import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { ProductService } from "@protoloom/contracts";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { eventually } from "@protoloom/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { createEnvReader } from "../base/env-reader.ts";
import { silentLogger } from "../base/logger.ts";
import type { Instance, Registrar } from "../discovery/registrar.ts";
import { implement } from "./implement.ts";
import { serve } from "./serve.ts";
import type { ServeOptions, Server } from "./serve.ts";
import { readServerConfig } from "./server-config.ts";

const { echo, count, collect, chat } = FixtureService.definition;
const fixture = createFixtureService({ instance: () => "here" });

async function start(options: Partial<ServeOptions> = {}, env: Record<string, string> = {}): Promise<Server> {
  const server = await serve({
    services: [implement(FixtureService, fixture)],
    config: readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0", MESH_DRAIN_TIMEOUT_MS: "1000", ...env })),
    logger: silentLogger,
    ...options,
  });
  onTestFinished(() => server.drain());
  return server;
}

function connect(server: Server): Client {
  const client = new Client(server.address, credentials.createInsecure());
  onTestFinished(() => client.close());
  return client;
}

function unary(client: Client, text: string): Promise<{ text: string }> {
  const request = FixtureService.requests.echo({ text });
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(echo.path, echo.requestSerialize, echo.responseDeserialize, request, (error, answer) =>
      error === null && answer !== undefined ? resolve(answer) : reject(error ?? new Error("no answer")),
    );
  });
}

async function get(server: Server, path: string, method = "GET"): Promise<{ status: number; body: unknown; headers: Headers }> {
  const response = await fetch(`http://${server.adminAddress}${path}`, { method });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : (JSON.parse(text) as unknown), headers: response.headers };
}

/** A registry that confirms when it is told to. */
function scriptedRegistrar(): Registrar & { confirm(): void; readonly log: string[]; readonly instances: Instance[] } {
  const confirmed = Promise.withResolvers<void>();
  const log: string[] = [];
  const instances: Instance[] = [];
  let registered = false;
  return {
    log,
    instances,
    confirm() {
      registered = true;
      confirmed.resolve();
    },
    register(instance) {
      instances.push(instance);
      return {
        id: `${instance.name}-id`,
        get registered() {
          return registered;
        },
        ready: () => confirmed.promise,
        setServing: (serving) => void log.push(`serving ${serving}`),
        async deregister() {
          registered = false;
          log.push("deregistered");
        },
        async [Symbol.asyncDispose]() {},
      };
    },
  };
}

describe("the four kinds of call", () => {
  test("unary: one request, one answer", async () => {
    const client = connect(await start());
    await expect(unary(client, "hello")).resolves.toMatchObject({ text: "hello", instance: "here" });
  });

  test("server stream: answers in order, and the status after them", async () => {
    const client = connect(await start());
    const request = FixtureService.requests.count({ count: 50, padBytes: 10, code: 9 });
    const stream = client.makeServerStreamRequest(count.path, count.requestSerialize, count.responseDeserialize, request);
    const indexes: number[] = [];
    await expect(
      (async () => {
        for await (const { index } of stream as AsyncIterable<{ index: number }>) indexes.push(index);
      })(),
    ).rejects.toMatchObject({ code: 9, details: "failed after the last answer, as asked" });
    expect(indexes).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  test("client stream: all requests, one answer", async () => {
    const client = connect(await start());
    const answer = await new Promise((resolve, reject) => {
      const stream = client.makeClientStreamRequest(
        collect.path,
        collect.requestSerialize,
        collect.responseDeserialize,
        (error, value) => (error === null ? resolve(value) : reject(error)),
      );
      for (let index = 0; index < 100; index += 1) stream.write(FixtureService.requests.collect({ text: String(index) }));
      stream.end();
    });
    expect(answer).toEqual({ texts: Array.from({ length: 100 }, (_, index) => String(index)), instance: "here" });
  });

  test("bidirectional stream: each answer comes before the next request is sent", async () => {
    const client = connect(await start());
    const stream = client.makeBidiStreamRequest(chat.path, chat.requestSerialize, chat.responseDeserialize);
    const texts: string[] = [];
    stream.write(FixtureService.requests.chat({ text: "0" }));
    for await (const { text, index } of stream as AsyncIterable<{ text: string; index: number }>) {
      texts.push(`${index}:${text}`);
      if (index === 9) stream.end();
      else stream.write(FixtureService.requests.chat({ text: String(index + 1) }));
    }
    expect(texts).toEqual(Array.from({ length: 10 }, (_, index) => `${index}:${index}`));
  });

  test("a handler sets headers and trailers, of success and of failure", async () => {
    const server = await start({
      services: [
        implement(FixtureService, {
          ...fixture,
          echo(request, context) {
            context.setHeader("x-first", "a");
            context.setHeader("x-raw-bin", "AAE=");
            context.setTrailer("x-last", context.metadata["x-from-client"] as string);
            return fixture.echo(request, context);
          },
        }),
      ],
    });
    const client = connect(server);
    const metadata = new Metadata();
    metadata.set("x-from-client", "b");
    const call = (code: number): Promise<{ headers: Metadata | undefined; trailers: Metadata; error: ServiceError | null }> =>
      new Promise((resolve) => {
        let headers: Metadata | undefined;
        let error: ServiceError | null = null;
        const request = FixtureService.requests.echo({ code });
        client
          .makeUnaryRequest(echo.path, echo.requestSerialize, echo.responseDeserialize, request, metadata, (failure) => {
            error = failure;
          })
          .on("metadata", (received) => (headers = received))
          .on("status", (status) => setImmediate(() => resolve({ headers, trailers: status.metadata, error })));
      });
    const good = await call(0);
    expect(good.headers?.get("x-first")).toEqual(["a"]);
    expect(good.headers?.get("x-raw-bin")).toEqual([Buffer.from([0, 1])]);
    expect(good.trailers.get("x-last")).toEqual(["b"]);
    const bad = await call(5);
    expect(bad.error?.code).toBe(5);
    expect(bad.trailers.get("x-last")).toEqual(["b"]);
  });

  test("an unknown method is UNIMPLEMENTED, with its reason", async () => {
    const client = connect(await start());
    for (const path of [
      "/fixture.v1.FixtureService/Nope",
      "/nope",
      "/fixture.v1.FixtureService/echo",
      "/fixture.v1.FixtureService/Echo/",
    ]) {
      const error = await new Promise<ServiceError | null>((resolve) => {
        client.makeUnaryRequest(
          path,
          (value: Buffer) => value,
          (value) => value,
          Buffer.alloc(0),
          resolve,
        );
      });
      expect(error?.code).toBe(12);
      expect(String(error?.metadata.get("grpc-status-details-bin")[0])).toContain("UNKNOWN_METHOD");
    }
    await expect(unary(client, "still there")).resolves.toMatchObject({ text: "still there" });
  });
});

describe("readiness", () => {
  test("without a registrar a server is ready once it listens, and says so in the ready file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "serve-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const server = await start({}, { MESH_READY_FILE: join(folder, "ready.json") });
    await server.ready();
    expect(JSON.parse(readFileSync(join(folder, "ready.json"), "utf8"))).toEqual({
      address: server.address,
      admin: server.adminAddress,
    });
    await expect(get(server, "/readyz")).resolves.toMatchObject({ status: 200, body: { ready: true, reasons: [] } });
  });

  test("with one it is ready when the registry lists it; until then it lives and says why", async () => {
    const registrar = scriptedRegistrar();
    const server = await start({ registrar, version: "1.2.3" }, { MESH_ZONE: "eu-1a", MESH_ADVERTISE_HOST: "fixture.test" });
    let isReady = false;
    const ready = server.ready().then(() => (isReady = true));
    await eventually(() => registrar.instances.length === 1);
    await expect(get(server, "/livez")).resolves.toMatchObject({ status: 200, body: { live: true } });
    await expect(get(server, "/readyz")).resolves.toMatchObject({
      status: 503,
      body: { ready: false, reasons: ["fixture-id is not registered"] },
    });
    expect(isReady).toBe(false);
    registrar.confirm();
    await ready;
    await expect(get(server, "/readyz")).resolves.toMatchObject({ status: 200 });
    const [host, port] = server.address.split(":");
    expect(registrar.instances).toEqual([
      { name: "fixture", host, port: Number(port), meta: { protocol: "grpc", version: "1.2.3", zone: "eu-1a" } },
    ]);
    expect(host).toBe("fixture.test");
  });

  test("services of one registry name register once, others apart", async () => {
    const registrar = scriptedRegistrar();
    const product = Object.fromEntries(ProductService.descriptor.methods.map(({ localName }) => [localName, () => undefined]));
    await start({
      registrar,
      services: [implement(FixtureService, fixture), implement(ProductService, product as never)],
    });
    await eventually(() => registrar.instances.length > 0);
    expect(registrar.instances.map(({ name }) => name)).toEqual(["fixture", "product"]);
  });

  test("what the services need comes first: nothing is registered before it is there, and beats follow it", async () => {
    const registrar = scriptedRegistrar();
    registrar.confirm();
    let answer: () => boolean = () => false;
    const server = await start({ registrar, ready: () => answer() });
    await expect(get(server, "/readyz")).resolves.toMatchObject({
      status: 503,
      body: { reasons: ["what the services need is not there"] },
    });
    expect(registrar.instances).toEqual([]);
    answer = () => true;
    await server.ready();
    expect(registrar.instances).toHaveLength(1);
    answer = () => {
      throw new Error("the database is gone");
    };
    await eventually(() => registrar.log.at(-1) === "serving false");
    await expect(get(server, "/readyz")).resolves.toMatchObject({ status: 503 });
    answer = () => true;
    await eventually(() => registrar.log.at(-1) === "serving true");
    await expect(get(server, "/readyz")).resolves.toMatchObject({ status: 200 });
  });

  test("waiting for it ends with the caller's signal", async () => {
    const server = await start({ registrar: scriptedRegistrar() });
    await expect(server.ready(AbortSignal.timeout(20))).rejects.toThrow(/timeout/);
  });
});

describe("the admin listener", () => {
  test("answers GET and HEAD in JSON, and nothing else", async () => {
    const server = await start();
    const live = await get(server, "/livez?verbose");
    expect(live).toMatchObject({ status: 200, body: { live: true } });
    expect(live.headers.get("content-type")).toBe("application/json");
    expect(await get(server, "/livez", "HEAD")).toMatchObject({ status: 200, body: undefined });
    expect(await get(server, "/")).toMatchObject({ status: 404 });
    expect(await get(server, "/__proto__")).toMatchObject({ status: 404 });
    const refused = await get(server, "/livez", "POST");
    expect(refused).toMatchObject({ status: 405 });
    expect(refused.headers.get("allow")).toBe("GET, HEAD");
  });
});

describe("a start that cannot be", () => {
  async function takenPort(): Promise<number> {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", () => resolve()));
    onTestFinished(() => void other.close());
    return (other.address() as AddressInfo).port;
  }

  test("names the address that is in use", async () => {
    const port = await takenPort();
    await expect(start({}, { MESH_LISTEN_PORT: String(port) })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: the address is in use by another process`,
    );
  });

  test("names the admin address that is in use, and leaves nothing listening", async () => {
    const port = await takenPort();
    const registrar = scriptedRegistrar();
    await expect(start({ registrar }, { MESH_ADMIN_PORT: String(port) })).rejects.toThrow(`cannot listen on 127.0.0.1:${port}`);
    expect(registrar.instances).toEqual([]);
  });

  test("names an address that is not of this machine", async () => {
    await expect(start({}, { MESH_LISTEN_HOST: "203.0.113.1" })).rejects.toThrow(
      /cannot listen on 203\.0\.113\.1:0: .*EADDRNOTAVAIL/,
    );
  });

  test("refuses a service that is served twice, and a handler that is missing", async () => {
    const service = implement(FixtureService, fixture);
    await expect(start({ services: [service, service] })).rejects.toThrow("fixture.v1.FixtureService is served twice");
    expect(() => implement(FixtureService, { ...fixture, chat: undefined as never })).toThrow(
      "fixture.v1.FixtureService/Chat has no handler",
    );
  });
});
