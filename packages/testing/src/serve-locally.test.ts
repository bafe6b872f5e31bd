import { InventoryService, ProductService } from "@protoloom/contracts";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { Code, implement, MeshError, silentLogger } from "@protoloom/mesh";
import type { Logger, ServiceHandle } from "@protoloom/mesh";
import { describe, expect, test } from "vitest";
import { callError } from "./call-error.ts";
import { eventually } from "./eventually.ts";
import { serveLocally } from "./serve-locally.ts";
import type { LocalServer } from "./serve-locally.ts";

const fixture = implement(FixtureService, createFixtureService({ instance: () => "local" }));

/** Handlers that fail with the name of their service. */
function naming({ descriptor }: ServiceHandle): never {
  const fail = (): never => {
    throw new MeshError(Code.UNIMPLEMENTED, descriptor.typeName);
  };
  return Object.fromEntries(descriptor.methods.map(({ localName }) => [localName, fail])) as never;
}

/** Resolves when the handler of an echo with this id runs. */
async function untilRunning({ mesh }: LocalServer, id: string): Promise<void> {
  const client = mesh.client(FixtureService);
  await eventually(async () => (await client.ledger({ ids: [id] })).counts[id] === 1, { intervalMs: 1 });
}

describe("a local server", () => {
  test("is ready, on a port of this machine, and its mesh calls it", async () => {
    await using local = await serveLocally([fixture]);
    expect(local.address).toMatch(/^127\.0\.0\.1:\d+$/);
    expect((await fetch(`http://${local.adminAddress}/readyz`)).status).toBe(200);
    expect(await local.mesh.client(FixtureService).echo({ text: "a" })).toMatchObject({ text: "a", instance: "local" });
  });

  test("serves several services, also those that share a name in the registry", async () => {
    const services = [implement(ProductService, naming(ProductService)), implement(InventoryService, naming(InventoryService))];
    await using local = await serveLocally([fixture, ...services]);
    const { mesh } = local;
    expect(await mesh.client(FixtureService).echo({ text: "a" })).toMatchObject({ text: "a" });
    const product = mesh.client(ProductService).getProduct({ id: "lamp" });
    expect(await callError(product)).toMatchObject({ code: 12, detail: "product.v1.ProductService" });
    const stock = mesh.client(InventoryService).getStock({ productId: "lamp" });
    expect(await callError(stock)).toMatchObject({ code: 12, detail: "product.v1.InventoryService" });
  });

  test("has the settings of env over its defaults, and names all that are wrong", async () => {
    await using local = await serveLocally([fixture], { env: { MESH_MAX_MESSAGE_BYTES: "1024" } });
    const fill = local.mesh.client(FixtureService).collect([{ message: "x".repeat(2_000) }]);
    expect(await callError(fill)).toMatchObject({ code: 8 });
    const wrong = { MESH_LISTEN_PORT: "many", MESH_DRAIN_TIMEOUT_MS: "1" };
    await expect(serveLocally([fixture], { env: wrong })).rejects.toThrow(/2 problem\(s\)[^]*MESH_LISTEN_PORT[^]*MESH_DRAIN_/);
  });

  test("writes to the logger that it is given", async () => {
    const failures: string[] = [];
    const logger: Logger = { ...silentLogger, error: (fields) => failures.push(JSON.stringify(fields)), child: () => logger };
    await using local = await serveLocally([fixture], { logger });
    expect(await callError(local.mesh.client(FixtureService).echo({ crash: true, message: "why" }))).toMatchObject({ code: 13 });
    await eventually(() => failures.length === 1);
  });

  test("drains when it is told to: a call in flight is answered, the next one is not", async () => {
    await using local = await serveLocally([fixture]);
    const client = local.mesh.client(FixtureService);
    const inFlight = client.echo({ delayMs: 100, id: "in flight" });
    await untilRunning(local, "in flight");
    await local.drain();
    expect(await inFlight).toMatchObject({ instance: "local" });
    expect(await callError(client.echo({}, { timeoutMs: 200 }))).toMatchObject({ code: 4 });
  });

  test("is gone at once when it is disposed, twice too, also while a call is open", async () => {
    const local = await serveLocally([fixture]);
    const open = callError(local.mesh.client(FixtureService).echo({ delayMs: 60_000, id: "open" }, { timeoutMs: 60_000 }));
    await untilRunning(local, "open");
    const startedMs = performance.now();
    await local[Symbol.asyncDispose]();
    await local[Symbol.asyncDispose]();
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(await open).toMatchObject({ code: 1 });
    await expect(fetch(`http://${local.adminAddress}/livez`)).rejects.toThrow("fetch failed");
  });
});
