import { setTimeout as delay } from "node:timers/promises";
import { eventually, registryFaults, startScriptedRegistry } from "@protoloom/testing";
import type { RegistryFault, ScriptedRegistry } from "@protoloom/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { createConsulClient } from "../consul/consul-client.ts";
import { createConsulResolver } from "./consul-resolver.ts";
import type { OwnRegistrations } from "./fail-static.ts";

describe("a registry that fails", () => {
  // Long enough for the back-off to reach its cap, so that healing meets the longest wait.
  const faultMs = 3_000;
  /** Queries: a burst of 2, then one a second, and one that may begin right at the end. Evidence: 4, then one in 2.5 s. */
  const most = { queries: 2 + Math.floor(faultMs / 1_000) + 1, evidence: 4 + Math.floor(faultMs / 2_500) };

  const runs = new Map<string, Promise<Observation>>();
  // All at once: each is a registry of its own, and takes seconds because it is about time.
  beforeAll(() => {
    for (const [title, fault] of Object.entries(registryFaults)) {
      const run = runFault(fault, faultMs);
      run.catch(() => {}); // The test of the fault awaits it, and fails with it.
      runs.set(title, run);
    }
  });

  test.for(Object.keys(registryFaults))(
    "%s loses no endpoint, is asked at most twice a second, and is heard within 1.5 s",
    async (title) => {
      const { queries, evidence, seen, healed } = (await runs.get(title)) as Observation;
      expect(queries).toBeLessThanOrEqual(most.queries);
      expect(evidence).toBeLessThanOrEqual(most.evidence);
      expect(seen).toEqual(["127.0.0.1:1 127.0.0.1:2"]);
      expect(healed).toBe(true);
    },
  );

  test.concurrent("that hangs is found out after the wait, and heard within it and a second", async () => {
    await using registry = await startScriptedRegistry(["127.0.0.1:1"]);
    await using watch = watchUser(registry, { waitMs: 1_000 });
    await eventually(() => watch.last() === "127.0.0.1:1");
    registry.fault = () => {};
    registry.wake();
    await eventually(() => registry.faults > 0);
    registry.fault = undefined;
    registry.replace(["127.0.0.1:1", "127.0.0.1:2"]);
    await eventually(() => watch.last() === "127.0.0.1:1 127.0.0.1:2", { timeoutMs: 2_000 });
    expect(watch.seen).toEqual(["127.0.0.1:1", "127.0.0.1:1 127.0.0.1:2"]);
  });

  test.concurrent("that changes 100 times a second is asked at most twice a second, and its last change is seen", async ({
    expect,
  }) => {
    await using registry = await startScriptedRegistry(["127.0.0.1:1"]);
    await using watch = watchUser(registry);
    await eventually(() => watch.last() === "127.0.0.1:1");
    const before = registry.queries;
    const startedMs = performance.now();
    let port = 2;
    while (performance.now() - startedMs < faultMs) {
      registry.replace(["127.0.0.1:1", `127.0.0.1:${(port += 1)}`]);
      await delay(10);
    }
    expect(registry.queries - before).toBeLessThanOrEqual(most.queries);
    await eventually(() => watch.last() === `127.0.0.1:1 127.0.0.1:${port}`, { timeoutMs: 1_500 });
    expect(watch.seen.every((endpoints) => endpoints.includes("127.0.0.1:1"))).toBe(true);
  });

  test.concurrent("that refuses the token is not stormed", async () => {
    await using registry = await startScriptedRegistry(["127.0.0.1:1"]);
    await using watch = watchUser(registry);
    await eventually(() => watch.last() === "127.0.0.1:1");
    registry.fault = (_, response) => response.writeHead(403).end("Permission denied");
    registry.wake();
    const before = registry.queries;
    await delay(faultMs);
    expect(registry.queries - before).toBeLessThanOrEqual(1);
    expect(watch.seen).toEqual(["127.0.0.1:1"]);
  });
});

describe.concurrent("an absence", () => {
  test("of one of several instances is believed at once from a registry that knows us", async () => {
    await using registry = await startScriptedRegistry(["127.0.0.1:1", "127.0.0.1:2"]);
    await using watch = watchUser(registry, { known: true });
    await eventually(() => watch.last() === "127.0.0.1:1 127.0.0.1:2");
    registry.replace(["127.0.0.1:2"]);
    await eventually(() => watch.last() === "127.0.0.1:2", { timeoutMs: 500 });
  });

  test("of all instances is believed from a registry that knows us, once none is registered", async () => {
    await using registry = await startScriptedRegistry(["127.0.0.1:1", "127.0.0.1:2"]);
    await using watch = watchUser(registry, { known: true });
    await eventually(() => watch.last() === "127.0.0.1:1 127.0.0.1:2");
    // All turn critical: the last good set stays.
    registry.replace([], { critical: ["127.0.0.1:1", "127.0.0.1:2"] });
    await eventually(() => registry.evidence === 1);
    expect(watch.seen).toEqual(["127.0.0.1:1 127.0.0.1:2"]);
    registry.replace([]);
    await eventually(() => watch.last() === "", { timeoutMs: 1_500 });
    expect(watch.seen).toEqual(["127.0.0.1:1 127.0.0.1:2", ""]);
  });

  test("of any instance is doubted while the registry does not know us, and believed once it does", async () => {
    await using registry = await startScriptedRegistry(["127.0.0.1:1", "127.0.0.1:2"]);
    const own = { known: false };
    await using watch = watchUser(registry, own);
    await eventually(() => watch.last() === "127.0.0.1:1 127.0.0.1:2");
    registry.replace(["127.0.0.1:3"]);
    await eventually(() => watch.last() === "127.0.0.1:1 127.0.0.1:2 127.0.0.1:3");
    own.known = true;
    // Nothing changes in the registry: the doubt asks again by itself.
    await eventually(() => watch.last() === "127.0.0.1:3");
  });

  test("of all instances is doubted by a client that registers nothing, unless the rest of what it knows is listed", async () => {
    await using registry = await startScriptedRegistry(["127.0.0.1:1"]);
    await using watch = watchUser(registry);
    await eventually(() => watch.last() === "127.0.0.1:1");
    registry.replace([]);
    await eventually(() => registry.evidence === 2);
    expect(watch.last()).toBe("127.0.0.1:1");

    registry.others = ["product"];
    await using product = watchUser(registry, { resolver: watch.resolver, name: "product" });
    await eventually(() => product.last() === "127.0.0.1:9");
    await eventually(() => watch.last() === "");
  });
});

describe("a watch", () => {
  test("is shared by all who follow a name, gives the last set at once, and outlives its last follower", async () => {
    await using registry = await startScriptedRegistry(["127.0.0.1:1"]);
    await using first = watchUser(registry);
    await eventually(() => first.last() === "127.0.0.1:1");
    await using second = watchUser(registry, { resolver: first.resolver });
    await eventually(() => second.last() === "127.0.0.1:1");
    first.stop();
    second.stop();
    await using third = watchUser(registry, { resolver: first.resolver });
    await eventually(() => third.last() === "127.0.0.1:1");
    // One request that was answered, one that waits.
    expect(registry.queries).toBe(2);
  });

  test("lists services without the registry itself, and the port of a node stands for an instance without address", async () => {
    await using registry = await startScriptedRegistry(["127.0.0.1:1"]);
    const stop = new AbortController();
    await using consul = createConsulClient({ address: registry.address });
    await using resolver = createConsulResolver({ consul });
    for await (const services of resolver.watchServices(stop.signal)) {
      expect(services).toEqual([{ name: "user", tags: ["a", "b"] }]);
      break;
    }
    registry.addressless = true;
    for await (const { endpoints } of resolver.watch("user", stop.signal)) {
      expect(endpoints).toEqual([
        { key: "10.0.0.1:1", host: "10.0.0.1", port: 1, instanceId: "user-1", weight: 3, meta: { version: "1" } },
      ]);
      break;
    }
  });
});

interface Observation {
  /** Requests while the fault lasted. */
  readonly queries: number;
  readonly evidence: number;
  /** Sets that were seen while it lasted. */
  readonly seen: readonly string[];
  /** A change right after it was seen within 1.5 s. */
  readonly healed: boolean;
}

async function runFault(fault: RegistryFault, faultMs: number): Promise<Observation> {
  await using registry = await startScriptedRegistry(["127.0.0.1:1", "127.0.0.1:2"]);
  await using watch = watchUser(registry);
  await eventually(() => watch.last() === "127.0.0.1:1 127.0.0.1:2");
  registry.fault = fault;
  registry.wake();
  const before = { queries: registry.queries, evidence: registry.evidence };
  await delay(faultMs);
  const after = {
    queries: registry.queries - before.queries,
    evidence: registry.evidence - before.evidence,
    seen: [...watch.seen],
  };
  registry.fault = undefined;
  registry.replace([...registry.entries, "127.0.0.1:3"]);
  const heard = eventually(() => watch.last() === "127.0.0.1:1 127.0.0.1:2 127.0.0.1:3", { timeoutMs: 1_500 });
  return { ...after, healed: await heard.catch(() => false) };
}

interface UserWatch extends AsyncDisposable {
  readonly resolver: ReturnType<typeof createConsulResolver>;
  /** Every set that was seen, as keys. */
  readonly seen: readonly string[];
  last(): string | undefined;
  stop(): void;
}

function watchUser(
  registry: ScriptedRegistry,
  options: {
    readonly known?: boolean;
    readonly waitMs?: number;
    readonly resolver?: UserWatch["resolver"];
    readonly name?: string;
  } = {},
): UserWatch {
  const consul = createConsulClient({ address: registry.address });
  const waitMs = options.waitMs ?? 10_000;
  const own: OwnRegistrations = {
    get isEmpty() {
      return options.known === undefined;
    },
    standing: async () => (options.known === true ? "known" : "unknown"),
  };
  const resolver = options.resolver ?? createConsulResolver({ consul, waitMs, own });
  const stop = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    for await (const { endpoints } of resolver.watch(options.name ?? "user", stop.signal))
      seen.push(endpoints.map(({ key }) => key).join(" "));
  })();
  return {
    resolver,
    seen,
    last: () => seen.at(-1),
    stop: () => stop.abort(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
      if (options.resolver === undefined) await resolver[Symbol.asyncDispose]();
      await consul[Symbol.asyncDispose]();
    },
  };
}
