import { eventually } from "@protoloom/testing";
import { expect, test } from "vitest";
import { uniqueName } from "./target.ts";
import type { CheckEntry, Target } from "./target.ts";

/** Registering, and what is listed then. */
export function registration(target: () => Target): void {
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
