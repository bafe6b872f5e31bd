import { eventually, startConsulAgent } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWith, part } from "../../../tools/parts.ts";
import { filterCases, filterServices } from "./test-contract/filter-cases.ts";
import { startHealthServer, startWebServer } from "./test-contract/probed-servers.ts";
import { createTarget, uniqueName } from "./test-contract/target.ts";
import type { CheckEntry, Target } from "./test-contract/target.ts";
import { createRegistry } from "./registry.ts";

interface Running extends AsyncDisposable {
  readonly address: string;
}

describe("the embedded registry", () => contract(async () => await createRegistry()));
describeWith(["consul"], "a real Consul", () =>
  contract(async () => await startConsulAgent({ binary: part("consul") ?? "consul" })),
);

/** What clients may rely on, whichever of the two they speak to. A real Consul moves registrations to its catalog in the background: hence the waits. */
function contract(start: () => Promise<Running>): void {
  let running: Running;
  let target: Target;
  beforeAll(async () => {
    running = await start();
    target = createTarget(running.address);
  }, 60_000);
  afterAll(async () => await running[Symbol.asyncDispose]());

  registration(() => target);
  beats(() => target);
  probes(() => target);
  maintenance(() => target);
  filters(() => target);
  blocking(() => target);
  refusals(() => target);
}

function registration(target: () => Target): void {
  test("a check starts critical, or with the status that the registration gives", async () => {
    const name = uniqueName("start");
    await target().register({ Name: name, Port: 1, Check: { TTL: "60s" } });
    expect(await target().statuses(name)).toEqual({ [`service:${name}`]: "critical" });
    const passing = uniqueName("start");
    await target().register({ Name: passing, Port: 1, Check: { TTL: "60s", Status: "passing" } });
    expect(await target().statuses(passing)).toEqual({ [`service:${passing}`]: "passing" });
    expect(await target().health(passing, "?passing")).toHaveLength(1);
  });

  test("checks are called after their instance, and numbered where there are several", async () => {
    const name = uniqueName("names");
    await target().register({ Name: name, Check: { TTL: "60s" } });
    const several = { ID: `${name}-2`, Name: name, Checks: [{ TTL: "60s" }, { TTL: "60s", Name: "mine" }] };
    await target().register(several);
    const checks = await target().read<Record<string, CheckEntry>>(
      `/v1/agent/checks?filter=${encodeURIComponent(`ServiceName == "${name}"`)}`,
    );
    const names = Object.fromEntries(Object.values(checks).map(({ CheckID, Name }) => [CheckID, Name]));
    const usual = `Service '${name}' check`;
    expect(names).toEqual({ [`service:${name}`]: usual, [`service:${name}-2:1`]: usual, [`service:${name}-2:2`]: "mine" });
  });

  test("names of fields are read in any case and with underscores", async () => {
    const name = uniqueName("case");
    await target().register({
      NAME: name,
      port: 7,
      enable_tag_override: true,
      check: { ttl: "60s", deregister_critical_service_after: "2m" },
    });
    const service = await target().read<{ Port: number; EnableTagOverride: boolean }>(`/v1/agent/service/${name}`);
    expect(service).toMatchObject({ Port: 7, EnableTagOverride: true });
  });

  test("an IP address is also a tagged address, weights are 1, and the datacenter is dc1", async () => {
    const name = uniqueName("view");
    await target().register({ Name: name, Port: 7, Address: "127.0.0.1", Tags: ["b", "a"], Meta: { version: "v1" } });
    const own = { Address: "127.0.0.1", Port: 7 };
    expect(await target().read(`/v1/agent/service/${name}`)).toMatchObject({
      ID: name,
      Service: name,
      Tags: ["b", "a"],
      Meta: { version: "v1" },
      TaggedAddresses: { lan_ipv4: own, wan_ipv4: own },
      Weights: { Passing: 1, Warning: 1 },
      EnableTagOverride: false,
      Datacenter: "dc1",
    });
  });

  test("registering again keeps the status and the output of a check", async () => {
    const name = uniqueName("again");
    const body = { Name: name, Port: 1, Check: { TTL: "60s" } };
    await target().register(body);
    await target().send("PUT", `/v1/agent/check/pass/service:${name}?note=fine`);
    await target().register({ ...body, Port: 2, Check: { TTL: "60s", Status: "critical" } });
    const checks = await target().read<Record<string, CheckEntry>>("/v1/agent/checks");
    expect(checks[`service:${name}`]).toMatchObject({ Status: "passing", Output: "fine" });
    await eventually(async () => (await target().health(name, "?passing"))[0]?.Service.Port === 2);
  });

  test("registering the same again changes no index", async () => {
    const name = uniqueName("same");
    const body = { Name: name, Port: 1, Check: { TTL: "60s", Status: "passing" } };
    await target().register(body);
    await target().statuses(name);
    const before = await target().send("GET", `/v1/health/service/${name}`);
    await target().register(body);
    await target().send("PUT", `/v1/agent/check/pass/service:${name}`);
    const after = await target().send("GET", `/v1/health/service/${name}?index=${before.index}&wait=300ms`);
    expect(after.index).toBe(before.index);
  });

  test("a check that a new registration does not name stays, unless it replaces the checks", async () => {
    const name = uniqueName("replace");
    await target().register({
      Name: name,
      Checks: [
        { CheckID: `${name}-a`, TTL: "60s" },
        { CheckID: `${name}-b`, TTL: "60s" },
      ],
    });
    const body = { Name: name, Check: { CheckID: `${name}-a`, TTL: "60s" } };
    const ids = async (): Promise<string[]> => Object.keys(await target().statuses(name)).toSorted();
    await target().register(body);
    expect(await ids()).toEqual([`${name}-a`, `${name}-b`]);
    await target().register(body, "?replace-existing-checks=true");
    await eventually(async () => (await ids()).length === 1);
    expect(await ids()).toEqual([`${name}-a`]);
  });

  test("replacing the checks ends maintenance too", async () => {
    const name = uniqueName("replace-maintenance");
    await target().register({ Name: name });
    await target().send("PUT", `/v1/agent/service/maintenance/${name}?enable=true`);
    await target().register({ Name: name }, "?replace-existing-checks");
    await eventually(async () => (await target().health(name, "?passing")).length === 1);
  });

  test("an instance that is deregistered is gone, with its checks, and again it is unknown", async () => {
    const name = uniqueName("gone");
    await target().register({ Name: name, Check: { TTL: "60s" } });
    await target().statuses(name);
    expect((await target().send("PUT", `/v1/agent/service/deregister/${name}`)).status).toBe(200);
    await eventually(async () => (await target().health(name)).length === 0);
    expect(await target().read(`/v1/agent/checks?filter=${encodeURIComponent(`ServiceID == "${name}"`)}`)).toEqual({});
    const again = await target().send("PUT", `/v1/agent/service/deregister/${name}`);
    expect(again).toMatchObject({
      status: 404,
      text: `Unknown service ID "${name}". Ensure that the service ID is passed, not the service name.`,
    });
  });

  test("the catalog lists services with their tags, and instances flat", async () => {
    const name = uniqueName("catalog");
    await target().register({ Name: name, ID: `${name}-1`, Port: 1, Tags: ["b"] });
    await target().register({ Name: name, ID: `${name}-2`, Port: 2, Tags: ["a"], Meta: { zone: "z1" } });
    const tags = await eventually(async () => {
      const found = (await target().read<Record<string, string[]>>("/v1/catalog/services"))[name];
      return found?.length === 2 && found;
    });
    expect(tags.toSorted()).toEqual(["a", "b"]);
    const entries = await target().read<{ ServiceID: string }[]>(`/v1/catalog/service/${name}`);
    expect(entries.map(({ ServiceID }) => ServiceID).toSorted()).toEqual([`${name}-1`, `${name}-2`]);
    const one = await target().read<object[]>(`/v1/catalog/service/${name}?tag=a`);
    expect(one).toMatchObject([
      { ServiceID: `${name}-2`, ServicePort: 2, ServiceMeta: { zone: "z1" }, ServiceTags: ["a"], ServiceAddress: "" },
    ]);
  });

  test("health/connect lists native instances only", async () => {
    const name = uniqueName("native");
    await target().register({ Name: name, ID: `${name}-1`, Port: 1, Connect: { Native: true } });
    await target().register({ Name: name, ID: `${name}-2`, Port: 2 });
    await eventually(async () => (await target().health(name)).length === 2);
    const native = await target().read<{ Service: { ID: string; Connect: object } }[]>(`/v1/health/connect/${name}`);
    expect(native.map(({ Service }) => [Service.ID, Service.Connect])).toEqual([[`${name}-1`, { Native: true }]]);
  });
}

function beats(target: () => Target): void {
  test("a beat for an unknown check is answered 404, and so is an update", async () => {
    const text = 'Unknown check ID "nobody". Ensure that the check ID is passed, not the check name.';
    for (const call of ["pass", "warn", "fail"]) {
      expect(await target().send("PUT", `/v1/agent/check/${call}/nobody`)).toMatchObject({ status: 404, text });
    }
    expect(await target().send("PUT", "/v1/agent/check/update/nobody", { Status: "passing" })).toMatchObject({
      status: 404,
      text,
    });
  });

  test("without a beat a TTL check turns critical and says so, and a beat heals it", async () => {
    const name = uniqueName("ttl");
    await target().register({ Name: name, Check: { TTL: "400ms" } });
    const check = async (): Promise<CheckEntry | undefined> =>
      (await target().read<Record<string, CheckEntry>>("/v1/agent/checks"))[`service:${name}`];
    await target().send("PUT", `/v1/agent/check/pass/service:${name}?note=still+here`);
    expect(await check()).toMatchObject({ Status: "passing", Output: "still here", Type: "ttl" });
    await eventually(async () => (await check())?.Status === "critical");
    expect((await check())?.Output).toBe("TTL expired (last output before timeout follows): still here");
    await target().send("PUT", `/v1/agent/check/pass/service:${name}`);
    expect(await check()).toMatchObject({ Status: "passing", Output: "" });
    await eventually(async () => (await check())?.Output === "TTL expired");
  });

  test("warn, fail and update set the status, and passing leaves warning out", async () => {
    const name = uniqueName("warn");
    await target().register({ Name: name, Check: { TTL: "60s", Status: "passing" } });
    const steps = [
      ["PUT", `/v1/agent/check/warn/service:${name}`, undefined, "warning"],
      ["PUT", `/v1/agent/check/fail/service:${name}`, undefined, "critical"],
      ["PUT", `/v1/agent/check/update/service:${name}`, { Status: "warning", Output: "slow" }, "warning"],
    ] as const;
    await eventually(async () => (await target().health(name, "?passing")).length === 1);
    for (const [method, path, body, status] of steps) {
      expect((await target().send(method, path, body)).status).toBe(200);
      await eventually(async () => (await target().statuses(name))[`service:${name}`] === status);
      expect(await target().health(name, "?passing")).toEqual([]);
      expect(await target().health(name, "?passing=false")).toHaveLength(1);
    }
  });

  test("the state of an instance is also a status code", async () => {
    const name = uniqueName("code");
    await target().register({ Name: name, Check: { TTL: "60s" } });
    const codes: number[] = [];
    for (const call of ["pass", "warn", "fail"]) {
      await target().send("PUT", `/v1/agent/check/${call}/service:${name}`);
      codes.push((await target().send("GET", `/v1/agent/health/service/id/${name}`)).status);
      codes.push((await target().send("GET", `/v1/agent/health/service/name/${name}`)).status);
    }
    codes.push((await target().send("GET", "/v1/agent/health/service/id/nobody")).status);
    expect(codes).toEqual([200, 200, 429, 429, 503, 503, 404]);
  });

  test("a check can be registered for a service, or for the node", async () => {
    const name = uniqueName("apart");
    await target().register({ Name: name });
    const id = `${name}-extra`;
    expect(
      (await target().send("PUT", "/v1/agent/check/register", { ID: id, Name: "extra", ServiceID: name, TTL: "60s" })).status,
    ).toBe(200);
    await eventually(async () => (await target().statuses(name))[id] === "critical");
    expect((await target().send("PUT", `/v1/agent/check/deregister/${id}`)).status).toBe(200);
    expect((await target().send("PUT", `/v1/agent/check/deregister/${id}`)).status).toBe(404);
    await eventually(async () => (await target().health(name, "?passing")).length === 1);
    const stray = { Name: "stray", ServiceID: "nobody", TTL: "60s" };
    expect((await target().send("PUT", "/v1/agent/check/register", stray)).status).toBe(404);
  });
}

function probes(target: () => Target): void {
  const statusOf = async (name: string, id = `service:${name}`): Promise<string | undefined> =>
    (await target().statuses(name))[id];

  test("a gRPC check asks grpc.health.v1: serving, not serving, refused", { timeout: 20_000 }, async () => {
    const name = uniqueName("grpc");
    const server = await startHealthServer(1);
    await target().register({ Name: name, Check: { GRPC: `${server.address}/shop.v1.Cart`, Interval: "1s", Timeout: "500ms" } });
    await eventually(async () => (await statusOf(name)) === "passing");
    expect(server.asked).toContain("shop.v1.Cart");
    server.servingStatus = 2;
    await eventually(async () => (await statusOf(name)) === "critical");
    server.servingStatus = 1;
    await eventually(async () => (await statusOf(name)) === "passing");
    await server[Symbol.asyncDispose]();
    await eventually(async () => (await statusOf(name)) === "critical");
  });

  test("an HTTP check passes with 2xx, warns with 429 and is critical otherwise", { timeout: 20_000 }, async () => {
    const name = uniqueName("http");
    await using web = await startWebServer(204);
    await target().register({ Name: name, Check: { HTTP: `http://${web.address}/`, Interval: "1s", Timeout: "500ms" } });
    for (const [status, expected] of [
      [204, "passing"],
      [429, "warning"],
      [500, "critical"],
      [304, "critical"],
      [200, "passing"],
    ] as const) {
      web.status = status;
      await eventually(async () => (await statusOf(name)) === expected);
    }
    const checks = await target().read<Record<string, CheckEntry>>("/v1/agent/checks");
    expect(checks[`service:${name}`]?.Output).toBe(`HTTP GET http://${web.address}/: 200 OK Output: a body`);
  });

  test("a TCP check connects", { timeout: 20_000 }, async () => {
    const name = uniqueName("tcp");
    const web = await startWebServer(200);
    await target().register({ Name: name, Check: { TCP: web.address, Interval: "1s" } });
    await eventually(async () => (await statusOf(name)) === "passing");
    await web[Symbol.asyncDispose]();
    await eventually(async () => (await statusOf(name)) === "critical");
  });

  test("an interval below one second is raised to it, and shown as it was asked for", { timeout: 20_000 }, async () => {
    const name = uniqueName("floor");
    await using web = await startWebServer(200);
    await target().register({ Name: name, Check: { HTTP: `http://${web.address}/`, Interval: "100ms" } });
    await eventually(() => web.askedAtMs.length >= 3, { timeoutMs: 10_000 });
    const [first = 0, second = 0, third = 0] = web.askedAtMs;
    expect(Math.min(second - first, third - second)).toBeGreaterThan(900);
    const checks = await target().read<Record<string, CheckEntry>>("/v1/agent/checks");
    expect(checks[`service:${name}`]).toMatchObject({ Interval: "100ms", Type: "http" });
  });

  test("without a success before it, one failure is enough for critical", async () => {
    const name = uniqueName("row");
    await using web = await startWebServer(500);
    const check = { HTTP: `http://${web.address}/`, Interval: "1s", Status: "passing", FailuresBeforeCritical: 3 };
    await target().register({ Name: name, Check: check });
    await eventually(async () => (await statusOf(name)) === "critical");
    expect(web.askedAtMs.length).toBeLessThan(3);
  });

  test("after a success, a row of failures is needed where the check asks for it", { timeout: 20_000 }, async () => {
    const name = uniqueName("row");
    await using web = await startWebServer(200);
    const check = {
      HTTP: `http://${web.address}/`,
      Interval: "1s",
      Status: "passing",
      FailuresBeforeWarning: 1,
      FailuresBeforeCritical: 3,
    };
    await target().register({ Name: name, Check: check });
    await eventually(() => web.askedAtMs.length > 0);
    web.status = 500;
    const successes = web.askedAtMs.length;
    await eventually(async () => (await statusOf(name)) === "warning");
    expect(web.askedAtMs.length - successes).toBeLessThan(3);
    await eventually(async () => (await statusOf(name)) === "critical");
    expect(web.askedAtMs.length - successes).toBeGreaterThanOrEqual(3);
  });
}

function maintenance(target: () => Target): void {
  test("maintenance takes an instance out of passing, once and for all until it is over", async () => {
    const name = uniqueName("maintenance");
    await target().register({ Name: name });
    await eventually(async () => (await target().health(name, "?passing")).length === 1);
    const set = async (query: string): Promise<number> =>
      (await target().send("PUT", `/v1/agent/service/maintenance/${name}?${query}`)).status;
    expect(await set("enable=true&reason=why")).toBe(200);
    expect(await set("enable=true&reason=other")).toBe(200);
    await eventually(async () => (await target().health(name, "?passing")).length === 0);
    const [entry] = await target().health(name);
    expect(entry?.Checks.filter(({ ServiceID }) => ServiceID !== "")).toMatchObject([
      {
        CheckID: `_service_maintenance:${name}`,
        Name: "Service Maintenance Mode",
        Status: "critical",
        Notes: "why",
        Type: "maintenance",
      },
    ]);
    expect(await set("enable=false")).toBe(200);
    expect(await set("enable=false")).toBe(200);
    await eventually(async () => (await target().health(name, "?passing")).length === 1);
  });

  test("maintenance needs a known instance and a yes or no", async () => {
    const name = uniqueName("maintenance");
    await target().register({ Name: name });
    const call = async (rest: string): Promise<unknown> => {
      const { status, text } = await target().send("PUT", `/v1/agent/service/maintenance/${rest}`);
      return [status, text];
    };
    expect(await call(name)).toEqual([400, "Missing value for enable"]);
    expect(await call(`${name}?enable=perhaps`)).toEqual([400, 'Invalid value for enable: "perhaps"']);
    expect((await target().send("PUT", "/v1/agent/service/maintenance/nobody?enable=true")).status).toBe(404);
  });

  test("maintenance of the node takes every instance out of passing", async () => {
    const name = uniqueName("node-maintenance");
    await target().register({ Name: name });
    await eventually(async () => (await target().health(name, "?passing")).length === 1);
    const before = await target().send("GET", `/v1/health/service/${name}?passing`);
    const waiting = target().send("GET", `/v1/health/service/${name}?passing&index=${before.index}&wait=10s`);
    expect((await target().send("PUT", "/v1/agent/maintenance?enable=true&reason=patches")).status).toBe(200);
    expect(JSON.parse((await waiting).text)).toEqual([]);
    expect((await target().send("PUT", "/v1/agent/maintenance?enable=false")).status).toBe(200);
    await eventually(async () => (await target().health(name, "?passing")).length === 1);
  });
}

function filters(target: () => Target): void {
  test.each(filterCases)("the filter $filter gives $expected", async ({ filter, expected }) => {
    for (const service of filterServices) await target().register(service);
    await eventually(async () => (await target().health("filtered")).length === filterServices.length);
    const { status, text } = await target().send("GET", `/v1/health/service/filtered?filter=${encodeURIComponent(filter)}`);
    if (expected === "an error") {
      expect(status).toBe(500);
      expect(text).toMatch(/^Failed to create boolean expression evaluator: /);
    } else {
      expect(status, text).toBe(200);
      const ids = (JSON.parse(text) as { Service: { ID: string } }[]).map(({ Service }) => Service.ID);
      expect(ids.toSorted().join(" ")).toBe(expected);
    }
  });

  test("services, checks, nodes and instances are filtered too", async () => {
    for (const service of filterServices) await target().register(service);
    await eventually(async () => (await target().health("filtered")).length === filterServices.length);
    const read = async (path: string, filter: string): Promise<object> =>
      await target().read<object>(`${path}?filter=${encodeURIComponent(filter)}`);
    expect(Object.keys(await read("/v1/agent/services", 'Service == "filtered" and Meta.version == "v2"'))).toEqual(["f1"]);
    expect(Object.keys(await read("/v1/agent/checks", "ServiceID == f2"))).toEqual(["service:f2"]);
    expect(await read("/v1/catalog/services", "ServiceMeta.version == v2")).toEqual({
      filtered: expect.toSatisfy((tags: string[]) => tags.toSorted().join() === "x,y"),
    });
    expect(await read("/v1/catalog/service/filtered", "ServicePort == 80")).toMatchObject([{ ServiceID: "f1" }]);
    expect(await read("/v1/health/checks/filtered", "Status == critical")).toMatchObject([{ CheckID: "service:f2" }]);
    expect(await read("/v1/health/state/any", "ServiceID == f1")).toMatchObject([{ CheckID: "service:f1" }]);
    expect(await read("/v1/catalog/nodes", 'Node == "nobody"')).toEqual([]);
  });
}

function blocking(target: () => Target): void {
  const read = async (name: string, query = ""): Promise<{ index: number; elapsedMs: number; entries: unknown[] }> => {
    const startMs = performance.now();
    const answer = await target().send("GET", `/v1/health/service/${name}${query}`);
    expect(answer.status, answer.text).toBe(200);
    return { index: answer.index, elapsedMs: performance.now() - startMs, entries: JSON.parse(answer.text) as unknown[] };
  };
  const registered = async (): Promise<{ name: string; index: number }> => {
    const name = uniqueName("blocking");
    await target().register({ Name: name, Check: { TTL: "60s" } });
    await target().statuses(name);
    // The first answer of a stream may have a higher index than that of a plain read.
    const { index } = await read(name);
    return { name, index: (await read(name, `?index=${index}&wait=50ms`)).index };
  };

  test("the index is at least 1, rises with a change and never falls", async () => {
    const { name } = await registered();
    const seen: number[] = [];
    for (const call of ["pass", "warn", "fail", "pass"]) {
      await target().send("PUT", `/v1/agent/check/${call}/service:${name}`);
      const status = { pass: "passing", warn: "warning", fail: "critical" }[call];
      await eventually(async () => (await target().statuses(name))[`service:${name}`] === status);
      seen.push((await read(name)).index);
    }
    expect(seen[0]).toBeGreaterThanOrEqual(1);
    for (const [position, index] of seen.slice(1).entries()) expect(index).toBeGreaterThan(seen[position] ?? 0);
  });

  test("a read that waits is answered as soon as something changes", async () => {
    const { name, index } = await registered();
    const waiting = read(name, `?index=${index}&wait=10s`);
    await target().send("PUT", `/v1/agent/check/pass/service:${name}`);
    const changed = await waiting;
    expect(changed.elapsedMs).toBeLessThan(2_000);
    expect(changed.index).toBeGreaterThan(index);
    expect(changed.entries).toHaveLength(1);
  });

  test("a read that waits is answered after its time, with the same index", async () => {
    const { name, index } = await registered();
    const waited = await read(name, `?index=${index}&wait=800ms`);
    expect(waited.elapsedMs).toBeGreaterThanOrEqual(799);
    expect(waited.elapsedMs).toBeLessThan(800 * (17 / 16) + 1_000);
    expect(waited.index).toBe(index);
  });

  test("index 0 never waits, and one that has passed neither", async () => {
    const { name, index } = await registered();
    expect((await read(name, "?index=0&wait=10s")).elapsedMs).toBeLessThan(2_000);
    expect((await read(name, `?index=${index - 1}&wait=10s`)).elapsedMs).toBeLessThan(2_000);
  });

  test("an index of the future waits, and then says the one of today", async () => {
    const { name, index } = await registered();
    const waited = await read(name, `?index=${index + 100_000}&wait=500ms`);
    expect(waited.elapsedMs).toBeGreaterThanOrEqual(499);
    expect(waited.index).toBeLessThan(index + 100_000);
    expect((await read(name, "?index=18446744073709551615&wait=100ms")).index).toBeLessThan(index + 100_000);
  });

  test("an unknown service is an empty list, and its first instance wakes who waits for it", async () => {
    const name = uniqueName("unknown");
    const { index, entries } = await read(name);
    expect(entries).toEqual([]);
    expect(index).toBeGreaterThanOrEqual(1);
    const waiting = (async () => {
      let answer = await read(name, `?index=${index}&wait=10s`);
      // Wakes without an instance are allowed: with none, the index is that of the whole catalog.
      while (answer.entries.length === 0) answer = await read(name, `?index=${answer.index}&wait=10s`);
      return answer;
    })();
    await target().register({ Name: name });
    expect((await waiting).index).toBeGreaterThan(index);
  });

  test("the last instance's going wakes who waits, and the index does not fall", async () => {
    const { name, index } = await registered();
    const waiting = read(name, `?index=${index}&wait=10s`);
    await target().send("PUT", `/v1/agent/service/deregister/${name}`);
    const gone = await waiting;
    expect(gone.entries).toEqual([]);
    expect(gone.index).toBeGreaterThan(index);
    expect((await read(name)).index).toBeGreaterThanOrEqual(index);
  });

  test("the list of services waits for registrations, and not for checks", async () => {
    const { name } = await registered();
    const before = await target().send("GET", "/v1/catalog/services");
    await target().send("PUT", `/v1/agent/check/pass/service:${name}`);
    await eventually(async () => (await target().statuses(name))[`service:${name}`] === "passing");
    const same = await target().send("GET", `/v1/catalog/services?index=${before.index}&wait=100ms`);
    expect(same.index).toBe(before.index);
    const waiting = target().send("GET", `/v1/catalog/services?index=${before.index}&wait=10s`);
    const other = uniqueName("new");
    await target().register({ Name: other });
    expect(Object.keys(JSON.parse((await waiting).text) as object)).toContain(other);
  });

  test("an instance is waited for by the hash of its contents", async () => {
    const name = uniqueName("hash");
    await target().register({ Name: name, Port: 1 });
    const first = await target().send("GET", `/v1/agent/service/${name}`);
    const hash = String(first.headers["x-consul-contenthash"]);
    expect((JSON.parse(first.text) as { ContentHash: string }).ContentHash).toBe(hash);
    const startMs = performance.now();
    const same = await target().send("GET", `/v1/agent/service/${name}?hash=${hash}&wait=300ms`);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(299);
    expect(same.headers["x-consul-contenthash"]).toBe(hash);
    const changing = target().send("GET", `/v1/agent/service/${name}?hash=${hash}&wait=10s`);
    await target().register({ Name: name, Port: 2 });
    const changed = await changing;
    expect(changed.headers["x-consul-contenthash"]).not.toBe(hash);
    const going = target().send(
      "GET",
      `/v1/agent/service/${name}?hash=${String(changed.headers["x-consul-contenthash"])}&wait=10s`,
    );
    await target().send("PUT", `/v1/agent/service/deregister/${name}`);
    expect((await going).status).toBe(404);
  });

  test("answers say index, leader and consistency", async () => {
    const { name } = await registered();
    for (const [query, consistency] of [
      ["", "leader"],
      ["?stale", "stale"],
      ["?consistent", "consistent"],
    ] as const) {
      const { headers } = await target().send("GET", `/v1/health/service/${name}${query}`);
      expect(headers).toMatchObject({
        "content-type": "application/json",
        "x-consul-knownleader": "true",
        "x-consul-lastcontact": "0",
        "x-consul-effective-consistency": consistency,
        "x-consul-default-acl-policy": "allow",
      });
    }
  });
}

function refusals(target: () => Target): void {
  const refused: readonly (readonly [string, string, unknown, number, RegExp])[] = [
    ["GET", "/v1/health/service/a?index=x", undefined, 400, /^Invalid index$/],
    ["GET", "/v1/health/service/a?index=-1", undefined, 400, /^Invalid index$/],
    ["GET", "/v1/health/service/a?index=18446744073709551616", undefined, 400, /^Invalid index$/],
    ["GET", "/v1/health/service/a?index=1&wait=x", undefined, 400, /^Invalid wait time$/],
    ["GET", "/v1/health/service/a?index=1&wait=10", undefined, 400, /^Invalid wait time$/],
    ["GET", "/v1/agent/service/a?hash=x&wait=x", undefined, 400, /^Invalid wait time$/],
    ["GET", "/v1/health/service/a?stale&consistent", undefined, 400, /^Cannot specify \?stale with \?consistent/],
    ["GET", "/v1/health/service/a?cached&consistent", undefined, 400, /^Cannot specify \?cached with \?consistent/],
    ["GET", "/v1/health/service/a?passing=x", undefined, 400, /^Invalid value for \?passing$/],
    ["GET", "/v1/health/service/a?ns=x", undefined, 400, /"?ns"?/],
    ["GET", "/v1/health/service/a?dc=nowhere", undefined, 500, /^No path to datacenter$/],
    ["GET", "/v1/health/service/", undefined, 400, /^Missing service name$/],
    ["GET", "/v1/health/checks/", undefined, 400, /^Missing service name$/],
    ["GET", "/v1/health/state/", undefined, 400, /^Missing check state$/],
    ["GET", "/v1/catalog/service/", undefined, 400, /^Missing service name$/],
    ["GET", "/v1/agent/service/nobody", undefined, 404, /^unknown service ID: nobody$/],
    ["GET", "/v1/nothing", undefined, 404, /^Invalid URL path: not a recognized HTTP API endpoint\s*$/],
    ["POST", "/v1/catalog/services", undefined, 405, /^method POST not allowed$/],
    ["GET", "/v1/agent/service/register", undefined, 405, /^method GET not allowed$/],
    ["HEAD", "/v1/catalog/services", undefined, 405, /^$/],
    ["PUT", "/v1/agent/service/register", "", 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", "{", 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", "[]", 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", {}, 400, /^Missing service name$/],
    ["PUT", "/v1/agent/service/register", { Name: 5 }, 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Port: "x" }, 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Bogus: 1 }, 400, /^Request decode failed.*Bogus/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Address: "0.0.0.0" }, 400, /^Invalid service address$/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Address: "::" }, 400, /^Invalid service address$/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Connect: { Native: true } }, 400, /^Validation failed/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Weights: { Passing: 0 } }, 400, /^Invalid Weights: Passing/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Weights: { Passing: 70_000 } }, 400, /^Invalid Weights: DNS Weight/],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Meta: { "a b": "c" } },
      400,
      /^Invalid Service Meta: .*Key contains invalid characters$/,
    ],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Meta: { ["k".repeat(129)]: "c" } },
      400,
      /Key is too long \(limit: 128 characters\)$/,
    ],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Meta: { k: "v".repeat(513) } },
      400,
      /Value is too long \(limit: 512 characters\)$/,
    ],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Check: { Status: "passing" } },
      400,
      /^Invalid check: TTL must be > 0 for TTL checks$/,
    ],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Check: { TTL: "3s", Interval: "3s" } },
      400,
      /^Invalid check: Interval and TTL cannot both be specified$/,
    ],
    ["PUT", "/v1/agent/service/register", { Name: "a", Check: { TTL: "3" } }, 400, /^Request decode failed/],
    ["PUT", "/v1/agent/service/register", { Name: "a", Check: { TTL: "-3s" } }, 400, /^Invalid check: TTL must be > 0/],
    [
      "PUT",
      "/v1/agent/service/register",
      { Name: "a", Check: { TCP: "127.0.0.1:1" } },
      400,
      /^Invalid check: Interval must be > 0/,
    ],
    ["PUT", "/v1/agent/service/register", { Name: "a", Check: { TTL: "3s", Status: "bogus" } }, 400, /^Status for checks must/],
    ["PUT", "/v1/agent/check/update/nobody", { Status: "passing", Bogus: 1 }, 400, /^Request decode failed.*Bogus/],
    ["PUT", "/v1/agent/check/register", { TTL: "3s" }, 400, /^Missing check name$/],
  ];

  test.each(refused)("%s %s %j is answered %d", async (method, path, body, status, text) => {
    const answer = await target().send(method, path, body);
    expect([answer.status, answer.text]).toEqual([status, expect.stringMatching(text)]);
    expect(answer.headers["content-type"]).toMatch(/^text\/plain/);
  });

  test("a method that is not allowed is answered with those that are", async () => {
    expect((await target().send("POST", "/v1/catalog/services")).headers["allow"]).toBe("OPTIONS,GET");
    expect(await target().send("OPTIONS", "/v1/agent/service/register")).toMatchObject({
      status: 200,
      headers: { allow: "OPTIONS,PUT" },
    });
  });

  test("an update with an unknown status, or for a check that is probed, is refused", async () => {
    const name = uniqueName("update");
    await target().register({ Name: name, Checks: [{ TTL: "60s" }, { TCP: "127.0.0.1:1", Interval: "60s" }] });
    const bad = await target().send("PUT", `/v1/agent/check/update/service:${name}:1`, { Status: "bogus" });
    expect([bad.status, bad.text]).toEqual([400, "Invalid check status: 'bogus'"]);
    const probed = await target().send("PUT", `/v1/agent/check/pass/service:${name}:2`);
    expect([probed.status, probed.text]).toEqual([500, `CheckID "service:${name}:2" does not have associated TTL`]);
  });
}
