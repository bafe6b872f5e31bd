import { eventually } from "@protoloom/testing";
import { expect, test } from "vitest";
import { uniqueName } from "./target.ts";
import type { Target } from "./target.ts";

/** Taking an instance, or the node, out of passing. */
export function maintenance(target: () => Target): void {
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
