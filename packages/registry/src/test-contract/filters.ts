import { eventually } from "@protoloom/testing";
import { expect, test } from "vitest";
import { filterCases, filterServices } from "./filter-cases.ts";
import type { Target } from "./target.ts";

/** `?filter`. */
export function filters(target: () => Target): void {
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
