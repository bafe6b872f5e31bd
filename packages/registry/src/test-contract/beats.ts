import { eventually } from "@protoloom/testing";
import { expect, test } from "vitest";
import { uniqueName } from "./target.ts";
import type { CheckEntry, Target } from "./target.ts";

/** Checks that the service feeds. */
export function beats(target: () => Target): void {
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
    await target().register({ Name: name, Check: { TTL: "1s" } });
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
