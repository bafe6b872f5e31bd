import { eventually } from "@protoloom/testing";
import { expect, test } from "vitest";
import { startHealthServer, startWebServer } from "./probed-servers.ts";
import { uniqueName } from "./target.ts";
import type { CheckEntry, Target } from "./target.ts";

/** Checks that the registry makes. */
export function probes(target: () => Target): void {
  const statusOf = async (name: string, id = `service:${name}`): Promise<string | undefined> =>
    (await target().statuses(name))[id];

  test.concurrent("a gRPC check asks grpc.health.v1: serving, not serving, refused", { timeout: 20_000 }, async () => {
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

  test.concurrent("an HTTP check passes with 2xx, warns with 429 and is critical otherwise", { timeout: 20_000 }, async () => {
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

  test.concurrent("a TCP check connects", { timeout: 20_000 }, async () => {
    const name = uniqueName("tcp");
    const web = await startWebServer(200);
    await target().register({ Name: name, Check: { TCP: web.address, Interval: "1s" } });
    await eventually(async () => (await statusOf(name)) === "passing");
    await web[Symbol.asyncDispose]();
    await eventually(async () => (await statusOf(name)) === "critical");
  });

  test.concurrent(
    "an interval below one second is raised to it, and shown as it was asked for",
    { timeout: 20_000 },
    async () => {
      const name = uniqueName("floor");
      await using web = await startWebServer(200);
      await target().register({ Name: name, Check: { HTTP: `http://${web.address}/`, Interval: "100ms" } });
      await eventually(() => web.askedAtMs.length >= 3, { timeoutMs: 10_000 });
      const [first = 0, second = 0, third = 0] = web.askedAtMs;
      expect(Math.min(second - first, third - second)).toBeGreaterThan(900);
      const checks = await target().read<Record<string, CheckEntry>>("/v1/agent/checks");
      expect(checks[`service:${name}`]).toMatchObject({ Interval: "100ms", Type: "http" });
    },
  );

  test.concurrent("without a success before it, one failure is enough for critical", async () => {
    const name = uniqueName("row");
    await using web = await startWebServer(500);
    const check = { HTTP: `http://${web.address}/`, Interval: "1s", Status: "passing", FailuresBeforeCritical: 3 };
    await target().register({ Name: name, Check: check });
    await eventually(async () => (await statusOf(name)) === "critical");
    expect(web.askedAtMs.length).toBeLessThan(3);
  });

  test.concurrent("after a success, a row of failures is needed where the check asks for it", { timeout: 20_000 }, async () => {
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
