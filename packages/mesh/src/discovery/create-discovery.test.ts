import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createLogRecorder, eventually, startConsulAgent } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith, part } from "../../../../tools/parts.ts";
import type { Meter } from "../base/meter.ts";
import { silentMeter } from "../base/meter.ts";
import { createConsulClient } from "../consul/consul-client.ts";
import type { ConsulClient } from "../consul/consul-client.ts";
import { createConsulRegistrar } from "./consul-registrar.ts";
import type { Discovery } from "./create-discovery.ts";
import { createDiscovery } from "./create-discovery.ts";
import type { Instance } from "./registrar.ts";

/** A registry that a suite may kill. */
interface TestRegistry extends AsyncDisposable {
  /** `http://host:port`, the same after a restart. */
  readonly address: string;
  kill(): Promise<void>;
  /** Starts it again after `kill`: it has forgotten everything. */
  revive(): Promise<void>;
}

describe("on the embedded registry", () => contract(startEmbedded));
describeWith(["consul"], "on a real Consul", () => contract(startConsul));

/** What every registry must give to the registrar and the resolver, and they make of it. */
function contract(start: () => Promise<TestRegistry>): void {
  let registry: TestRegistry;
  let consul: ConsulClient;
  let ports = 1_000;
  const instance = (name: string, meta: Instance["meta"] = {}): Instance => ({
    name,
    host: "127.0.0.1",
    port: (ports += 1),
    meta,
  });

  beforeAll(async () => {
    registry = await start();
    consul = createConsulClient({ address: registry.address });
  });
  afterAll(async () => {
    await consul[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  const idsOf = async (name: string): Promise<readonly string[]> =>
    (await consul.healthService(name, { passing: true })).value.map(({ id }) => id).toSorted();

  // Each test has names of its own.
  describe.concurrent("a registration", () => {
    test("is confirmed, and listed as passing with its address and meta", async () => {
      await using discovery = createDiscovery({ address: registry.address });
      const registration = discovery.registrar.register(instance("listed", { protocol: "grpc", version: "1.2.0", zone: "a" }));
      expect(registration.registered).toBe(false);
      await registration.ready(AbortSignal.timeout(5_000));
      expect(registration.registered).toBe(true);
      await using watch = watchOf(discovery, "listed");
      await eventually(() => watch.last() === registration.id);
      const { port } = watch.endpoints()[0] ?? { port: 0 };
      expect(watch.endpoints()).toEqual([
        {
          key: `127.0.0.1:${port}`,
          host: "127.0.0.1",
          port,
          instanceId: `listed-127.0.0.1-${port}`,
          weight: 1,
          meta: { protocol: "grpc", version: "1.2.0", zone: "a" },
        },
      ]);
      expect(await consul.agentService(registration.id)).toMatchObject({ name: "listed", port });
      expect(await consul.agentService("nobody")).toBeUndefined();
    });

    test("leaves the endpoints when it says that it does not serve, and comes back", async () => {
      await using discovery = createDiscovery({ address: registry.address });
      const stays = discovery.registrar.register(instance("serving"));
      const goes = discovery.registrar.register(instance("serving"));
      await Promise.all([stays.ready(), goes.ready()]);
      await using watch = watchOf(discovery, "serving");
      await eventually(() => watch.last() === `${stays.id} ${goes.id}`);
      goes.setServing(false);
      await eventually(() => watch.last() === stays.id, { timeoutMs: 900 });
      goes.setServing(true);
      await eventually(() => watch.last() === `${stays.id} ${goes.id}`, { timeoutMs: 1_500 });
    });

    test("ends when it is deregistered, once and without error", async () => {
      await using discovery = createDiscovery({ address: registry.address });
      const registration = discovery.registrar.register(instance("leaving"));
      await registration.ready();
      await Promise.all([registration.deregister(), registration.deregister()]);
      expect(registration.registered).toBe(false);
      expect(await idsOf("leaving")).toEqual([]);
      await registration.deregister();
    });

    test("ends without error when somebody has deregistered it already", async () => {
      await using discovery = createDiscovery({ address: registry.address });
      const registration = discovery.registrar.register(instance("robbed"));
      await registration.ready();
      await consul.deregisterService(registration.id);
      await registration.deregister();
      expect(await idsOf("robbed")).toEqual([]);
    });

    test("is made again within 1.5 s when somebody deregisters it", async () => {
      await using discovery = createDiscovery({ address: registry.address });
      const registration = discovery.registrar.register(instance("forgotten"));
      await registration.ready();
      await consul.deregisterService(registration.id);
      await eventually(async () => (await idsOf("forgotten")).includes(registration.id), { timeoutMs: 1_500 });
      await eventually(() => registration.registered);
    });

    test("that others may not call is logged once", async () => {
      const { logger, lines } = createLogRecorder();
      const registrar = createConsulRegistrar({ consul, logger, beatMs: 50 });
      await using registration = registrar.register(instance("maintained"));
      await registration.ready();
      await fetch(`${registry.address}/v1/agent/service/maintenance/${registration.id}?enable=true`, { method: "PUT" });
      const complaints = (): number =>
        lines.filter(({ message }) => message.includes("does not list this instance as passing")).length;
      await eventually(() => complaints() === 1);
      // It still knows us: what goes elsewhere is believed.
      expect(await registrar.standing(AbortSignal.timeout(1_000))).toBe("known");
      expect(complaints()).toBe(1);
    });

    test("is not known to the registry before it is confirmed, nor after it has left", async () => {
      const registrar = createConsulRegistrar({ consul });
      const registration = registrar.register(instance("witness"));
      expect(registrar.isEmpty).toBe(true);
      await registration.ready();
      expect(registrar.isEmpty).toBe(false);
      expect(await registrar.standing(AbortSignal.timeout(1_000))).toBe("known");
      await registration.deregister();
      expect(registrar.isEmpty).toBe(true);
    });
  });

  describe.concurrent("a watch", () => {
    test("of a service that nobody knows gives an empty set, and its first instance at once", async () => {
      await using discovery = createDiscovery({ address: registry.address });
      await using watch = watchOf(discovery, "awaited");
      await eventually(() => watch.last() === "");
      const registration = discovery.registrar.register(instance("awaited"));
      await eventually(() => watch.last() === registration.id, { timeoutMs: 1_000 });
    });

    test("drops an instance that died without a word, once its check has expired", async () => {
      await using discovery = createDiscovery({ address: registry.address });
      const lives = discovery.registrar.register(instance("mortal"));
      await lives.ready();
      await register(consul, "mortal-dead", "mortal", { ttlMs: 500 });
      await using watch = watchOf(discovery, "mortal");
      await eventually(() => watch.last() === `${lives.id} mortal-dead`);
      await eventually(() => watch.last() === lives.id, { timeoutMs: 2_000 });
      await consul.deregisterService("mortal-dead");
    });

    test("keeps the last good set when all instances turn critical at once", async () => {
      await using discovery = createDiscovery({ address: registry.address });
      await discovery.registrar.register(instance("onlooker")).ready();
      const ids = ["panic-1", "panic-2"];
      for (const id of ids) await register(consul, id, "panic", { ttlMs: 1_000 });
      await using watch = watchOf(discovery, "panic");
      await eventually(() => watch.last() === ids.join(" "));
      await eventually(async () => (await idsOf("panic")).length === 0, { timeoutMs: 3_000 });
      await consul.beat("service:panic-2", "passing");
      await eventually(() => watch.last() === "panic-2");
      expect(watch.seen).not.toContain("");
      for (const id of ids) await consul.deregisterService(id);
    });

    test("believes that a service has gone from a registry that knows us, and the list of services does", async () => {
      await using discovery = createDiscovery({ address: registry.address });
      await discovery.registrar.register(instance("onlooker")).ready();
      await using services = servicesOf(discovery);
      const registration = discovery.registrar.register(instance("guest"));
      await eventually(() => services.last()?.includes("guest"), { timeoutMs: 2_000 });
      await using watch = watchOf(discovery, "guest");
      await eventually(() => watch.last() === registration.id);
      await registration.deregister();
      await eventually(() => services.last()?.includes("guest") === false, { timeoutMs: 2_000 });
      await eventually(() => watch.last() === "", { timeoutMs: 2_000 });
      expect(services.last()).toContain("onlooker");
      expect(services.last()).not.toContain("consul");
    });

    test("of a client that registers nothing keeps the last set of a service that has gone", async () => {
      let doubts = 0;
      const meter: Meter = { ...silentMeter, count: (name) => void (doubts += name === "mesh_discovery_doubted_total" ? 1 : 0) };
      await using owner = createDiscovery({ address: registry.address });
      await using client = createDiscovery({ address: registry.address, meter });
      const registration = owner.registrar.register(instance("alone"));
      await registration.ready();
      await using watch = watchOf(client, "alone");
      await eventually(() => watch.last() === registration.id);
      await registration.deregister();
      await eventually(() => doubts > 0);
      expect(watch.seen).toEqual([registration.id]);
      // It holds another service, which the registry still lists: then the registry was not emptied.
      await register(consul, "other-1", "other", { ttlMs: 60_000 });
      await using other = watchOf(client, "other");
      await eventually(() => other.last() === "other-1");
      await eventually(() => watch.last() === "");
      await consul.deregisterService("other-1");
    });
  });

  describe("a registry that goes", () => {
    // Not before the others: what they test needs a registry that has not just failed.
    test(
      "and comes back empty has all registered again within 5 s, while no set is emptied and no service removed",
      { timeout: 60_000 },
      async () => {
        const { logger, lines } = createLogRecorder();
        await using owner = createDiscovery({ address: registry.address, logger });
        await using client = createDiscovery({ address: registry.address });
        const registrations = [owner.registrar.register(instance("user")), owner.registrar.register(instance("product"))];
        await Promise.all(registrations.map((registration) => registration.ready()));
        // One that nobody registers again.
        await register(consul, "orphan-1", "orphan", { ttlMs: 60_000 });
        await using users = watchOf(client, "user");
        await using products = watchOf(owner, "product");
        await using orphans = watchOf(owner, "orphan");
        await using services = servicesOf(owner);
        await eventually(
          () =>
            users.last() === registrations[0]?.id && products.last() === registrations[1]?.id && orphans.last() === "orphan-1",
        );
        await eventually(() => services.last()?.includes("orphan"));

        await registry.kill();
        await registry.revive();
        const revivedMs = performance.now();
        await eventually(async () => (await idsOf("user")).length === 1 && (await idsOf("product")).length === 1, {
          timeoutMs: 5_000,
        });
        const againMs = performance.now() - revivedMs;
        expect(againMs).toBeLessThan(5_000);
        expect(users.seen).toEqual([registrations[0]?.id]);
        expect(products.seen).toEqual([registrations[1]?.id]);
        expect(orphans.seen).toEqual(["orphan-1"]);
        expect(
          services.seen.every(
            (names) => ["user", "product", "orphan"].every((name) => names.includes(name)) || !names.includes("orphan"),
          ),
        ).toBe(true);
        await eventually(() => registrations.every(({ registered }) => registered));
        expect(lines.filter(({ message }) => message.includes("registered again"))).toHaveLength(2);
        // Time enough for all to come back has passed: what is still missing is gone.
        await eventually(() => orphans.last() === "" && !services.last()?.includes("orphan"), { timeoutMs: 20_000 });
        expect(services.last()).toEqual(expect.arrayContaining(["user", "product"]));
      },
    );

    test("leaves every set as it is, delays a registration, and bounds a deregistration", { timeout: 60_000 }, async () => {
      const { logger, lines } = createLogRecorder();
      await using discovery = createDiscovery({ address: registry.address, logger });
      const early = discovery.registrar.register(instance("early"));
      await early.ready();
      await using watch = watchOf(discovery, "early");
      await using services = servicesOf(discovery);
      await eventually(() => watch.last() === early.id && services.last()?.includes("early"));

      await registry.kill();
      const late = discovery.registrar.register(instance("late"));
      await expect(late.ready(AbortSignal.timeout(1_000))).rejects.toThrow(/timeout/);
      expect(late.registered).toBe(false);
      const startedMs = performance.now();
      await early.deregister();
      expect(performance.now() - startedMs).toBeLessThan(1_200);
      expect(watch.seen).toEqual([early.id]);
      expect(services.seen).toHaveLength(1);
      const warnings = lines.filter(({ message }) => message.includes("registry") && !message.includes("not deregistered"));
      expect(warnings).toHaveLength(1);

      await registry.revive();
      await late.ready(AbortSignal.timeout(1_500));
    });
  });
}

interface Watched<T> extends AsyncDisposable {
  readonly seen: readonly T[];
  last(): T | undefined;
}

/** Follows a service; sets are ids in the order of their addresses. */
function watchOf(discovery: Discovery, name: string): Watched<string> & { endpoints(): readonly { readonly port: number }[] } {
  const stop = new AbortController();
  const seen: string[] = [];
  let latest: readonly { readonly port: number }[] = [];
  const following = (async () => {
    for await (const { endpoints } of discovery.resolver.watch(name, stop.signal)) {
      latest = endpoints;
      seen.push(endpoints.map(({ instanceId }) => instanceId).join(" "));
    }
  })();
  return {
    seen,
    last: () => seen.at(-1),
    endpoints: () => latest,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
    },
  };
}

function servicesOf(discovery: Discovery): Watched<readonly string[]> {
  const stop = new AbortController();
  const seen: (readonly string[])[] = [];
  const following = (async () => {
    for await (const services of discovery.resolver.watchServices(stop.signal)) seen.push(services.map(({ name }) => name));
  })();
  return {
    seen,
    last: () => seen.at(-1),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
    },
  };
}

/** Registers without beats. */
async function register(consul: ConsulClient, id: string, name: string, { ttlMs }: { readonly ttlMs: number }): Promise<void> {
  const port = 2_000 + Number(id.at(-1)) || 2_000;
  await consul.registerService({
    id,
    name,
    host: "127.0.0.1",
    port,
    meta: {},
    ttlMs,
    status: "passing",
    removeCriticalAfterMs: 60_000,
  });
}

async function startConsul(): Promise<TestRegistry> {
  const agent = await startConsulAgent({ binary: part("consul") ?? "consul" });
  return {
    address: `http://${agent.address}`,
    kill: () => agent.stop(),
    revive: () => agent.restart(),
    [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose](),
  };
}

async function startEmbedded(): Promise<TestRegistry> {
  const directory = await mkdtemp(join(tmpdir(), "registry-"));
  const port = await freePort();
  const main = resolve(import.meta.dirname, "../../../registry/src/main.ts");
  const readyFile = join(directory, "ready");
  const begin = async (): Promise<() => Promise<void>> => {
    await rm(readyFile, { force: true });
    const env = { ...process.env, MESH_REGISTRY_PORT: `${port}`, MESH_READY_FILE: readyFile, MESH_LOG_LEVEL: "error" };
    const child = spawn(process.execPath, [main], { env, stdio: "inherit" });
    const ended = once(child, "exit");
    await eventually(async () => child.exitCode !== null || (await readFile(readyFile, "utf8")) !== "", { timeoutMs: 15_000 });
    expect(child.exitCode).toBeNull();
    return async () => {
      child.kill("SIGKILL");
      await ended;
    };
  };
  let end = await begin();
  const kill = (): Promise<void> => end();
  return {
    address: `http://127.0.0.1:${port}`,
    kill,
    async revive() {
      end = await begin();
    },
    async [Symbol.asyncDispose]() {
      await end();
      await rm(directory, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  return port;
}
