import { describe, expect, test } from "vitest";
import { createCatalog } from "./catalog.ts";
import type { Catalog, CatalogChange, CatalogState } from "./catalog.ts";
import { parseRegistration } from "./parse-registration.ts";
import { Topic } from "./topic.ts";

const node = { id: "n", name: "node", address: "127.0.0.1", datacenter: "dc1", meta: {} };

function emptyCatalog(restored?: CatalogState): Catalog {
  return createCatalog({ node, now: () => 1_000, restored });
}

function register(catalog: Catalog, body: object, options: { replaceChecks?: boolean } = {}): void {
  const { service, checks } = parseRegistration(JSON.stringify(body));
  catalog.register(service, checks, options);
}

/** Calls of a topic's waiters, each waiting again. */
function countWakes(catalog: Catalog, topic: string): () => number {
  let wakes = 0;
  const wait = (): void =>
    void catalog.onceChanged(topic, () => {
      wakes += 1;
      wait();
    });
  wait();
  return () => wakes;
}

describe("a catalog", () => {
  test("gives a service and all its checks one index", () => {
    const catalog = emptyCatalog();
    register(catalog, { Name: "a", Checks: [{ TTL: "3s" }, { TTL: "4s" }] });
    expect(catalog.services.get("a")).toMatchObject({ createIndex: 2, modifyIndex: 2 });
    expect(catalog.checksOf("a").map(({ createIndex, modifyIndex }) => [createIndex, modifyIndex])).toEqual([
      [2, 2],
      [2, 2],
    ]);
  });

  test("wakes only those who wait for what has changed, and once a change", () => {
    const catalog = emptyCatalog();
    const [a, b, services] = [Topic.service("a"), Topic.service("b"), Topic.services].map((topic) => countWakes(catalog, topic));
    register(catalog, { Name: "a", Checks: [{ TTL: "3s" }, { TTL: "4s" }] });
    expect([a?.(), b?.(), services?.()]).toEqual([1, 0, 1]);
    catalog.setStatus("service:a:1", "passing", "");
    expect([a?.(), b?.(), services?.()]).toEqual([2, 0, 1]);
    catalog.deregister("a");
    expect([a?.(), b?.(), services?.()]).toEqual([3, 0, 2]);
  });

  test("a repeated registration, a repeated status and a new output wake nobody and change no index", () => {
    const catalog = emptyCatalog();
    register(catalog, { Name: "a", Check: { TTL: "3s" } });
    const wakes = countWakes(catalog, Topic.service("a"));
    register(catalog, { Name: "a", Check: { TTL: "3s" } });
    catalog.setStatus("service:a", "critical", "");
    catalog.setStatus("service:a", "critical", "why");
    expect([wakes(), catalog.indexOf(Topic.service("a"))]).toEqual([0, 2]);
    expect(catalog.checks.get("service:a")?.output).toBe("why");
  });

  test("a repeated registration defines its checks again, so that their time starts anew", () => {
    const catalog = emptyCatalog();
    register(catalog, { Name: "a", Check: { TTL: "3s" } });
    const changes: CatalogChange[] = [];
    catalog.follow((change) => changes.push(change));
    register(catalog, { Name: "a", Check: { TTL: "3s" } });
    expect(changes.map(({ kind }) => kind)).toEqual(["check-defined"]);
  });

  test("a check of the node changes every service, and wakes all", () => {
    const catalog = emptyCatalog();
    register(catalog, { Name: "a" });
    const wakes = countWakes(catalog, Topic.service("a"));
    const { definition } = parseRegistration(JSON.stringify({ Name: "x", Check: { TTL: "3s" } })).checks[0] ?? {};
    if (definition === undefined) throw new Error("no check");
    catalog.setCheck({ definition: { ...definition, id: "node-check", serviceId: "", serviceName: "" }, status: "critical" });
    expect([wakes(), catalog.indexOf(Topic.service("a")), catalog.indexOf(Topic.service("nobody"))]).toEqual([1, 3, 3]);
  });

  test("an id that moves to another name changes both services", () => {
    const catalog = emptyCatalog();
    register(catalog, { Name: "a", ID: "1", Check: { TTL: "3s" } });
    const [a, b] = [countWakes(catalog, Topic.service("a")), countWakes(catalog, Topic.service("b"))];
    register(catalog, { Name: "b", ID: "1" });
    expect([a(), b()]).toEqual([1, 1]);
    expect(catalog.servicesNamed("a")).toEqual([]);
    expect(catalog.servicesNamed("b").map(({ id }) => id)).toEqual(["1"]);
    expect(catalog.checksOf("1")).toMatchObject([{ id: "service:1", serviceName: "b" }]);
    expect(catalog.indexOf(Topic.service("a"))).toBe(3);
  });

  test("the index of a service never falls when its last instance goes, and nothing is kept about its name", () => {
    const catalog = emptyCatalog();
    register(catalog, { Name: "a" });
    register(catalog, { Name: "b" });
    catalog.deregister("a");
    expect(catalog.indexOf(Topic.service("a"))).toBe(4);
    expect(catalog.indexOf(Topic.service("never"))).toBe(4);
    expect(catalog.indexOf(Topic.service("b"))).toBe(3);
  });

  test("remembers when a check turned critical", () => {
    const catalog = emptyCatalog();
    register(catalog, { Name: "a", Check: { TTL: "3s" } });
    expect(catalog.checks.get("service:a")?.criticalSinceMs).toBe(1_000);
    catalog.setStatus("service:a", "passing", "");
    expect(catalog.checks.get("service:a")?.criticalSinceMs).toBeUndefined();
  });

  test("after a restart it holds the same, and every reader of before is answered at once", () => {
    const before = emptyCatalog();
    register(before, { Name: "a", Check: { TTL: "3s", Status: "passing" } });
    const stored = JSON.parse(JSON.stringify(before.state())) as CatalogState;
    // A change that was seen by a reader, and not stored.
    before.setStatus("service:a", "critical", "");
    const seen = before.indexOf(Topic.service("a"));
    const after = emptyCatalog(stored);
    expect(after.checks.get("service:a")?.status).toBe("passing");
    expect(after.services.get("a")).toEqual(before.services.get("a"));
    for (const topic of [Topic.service("a"), Topic.service("nobody"), Topic.services, Topic.checks]) {
      expect(after.indexOf(topic)).toBeGreaterThan(seen);
    }
  });
});
