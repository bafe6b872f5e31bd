import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith, part } from "../../../tools/parts.ts";
import { createRegistry } from "./registry.ts";
import type { Registry } from "./registry.ts";
import { temporaryFolder } from "./test-contract/registry-process.ts";
import { createTarget } from "./test-contract/target.ts";
import type { HealthEntry, Target } from "./test-contract/target.ts";

describeWith(["consul"], "Consul's own command line against the embedded registry", () => {
  let registry: Registry;
  let target: Target;
  beforeAll(async () => {
    registry = await createRegistry({ nodeName: "here" });
    target = createTarget(registry.address);
  });
  afterAll(async () => await registry.close());

  /** Runs `consul`, and gives what it says. */
  async function consul(...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const env = { CONSUL_HTTP_ADDR: registry.address };
    const child = spawn(part("consul") ?? "consul", args, {
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 20_000,
      killSignal: "SIGKILL",
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
    const [code] = (await once(child, "close")) as [number | null];
    return { code, stdout, stderr };
  }

  test("services register and deregister, from flags and from a file", { timeout: 30_000 }, async () => {
    expect(await consul("services", "register", "-name=web", "-port=80", "-tag=t", "-meta=version=v1")).toMatchObject({
      code: 0,
      stdout: "Registered service: web\n",
    });
    using folder = temporaryFolder();
    const file = join(folder.path, "api.hcl");
    writeFileSync(
      file,
      `service { name = "api" id = "api-1" port = 99 tags = ["x"] meta { version = "v2" }
        checks = [{ name = "beat" ttl = "60s" status = "passing" }, { tcp = "127.0.0.1:1" interval = "10s" timeout = "1s" }] }`,
    );
    expect(await consul("services", "register", file)).toMatchObject({ code: 0, stdout: "Registered service: api\n" });
    expect(await target.health("api")).toMatchObject([{ Service: { ID: "api-1", Port: 99, Meta: { version: "v2" } } }]);
    expect((await consul("catalog", "services", "-tags")).stdout).toMatch(/^api +x\nweb +t\n$/);
    expect(await consul("services", "deregister", "-id=web")).toMatchObject({ code: 0, stdout: "Deregistered service: web\n" });
    expect((await consul("services", "deregister", "-id=web")).stderr).toContain('Unknown service ID "web"');
    expect((await consul("catalog", "services")).stdout).toBe("api\n");
    expect(await consul("services", "deregister", file)).toMatchObject({ code: 0 });
  });

  test("watch gives a service's instances, and the services, the nodes and the checks", { timeout: 30_000 }, async () => {
    await target.register({ Name: "watched", Port: 7, Check: { TTL: "60s" } });
    const { code, stdout } = await consul("watch", "-type=service", "-service=watched");
    expect(code).toBe(0);
    expect(JSON.parse(stdout) as HealthEntry[]).toMatchObject([{ Service: { ID: "watched", Port: 7 } }]);
    expect(JSON.parse((await consul("watch", "-type=services")).stdout)).toMatchObject({ watched: [] });
    expect(JSON.parse((await consul("watch", "-type=nodes")).stdout)).toMatchObject([{ Node: "here" }]);
    expect(JSON.parse((await consul("watch", "-type=checks", "-state=critical")).stdout)).toMatchObject([
      { CheckID: "service:watched" },
    ]);
  });

  test("catalog, members and maint say what there is", { timeout: 30_000 }, async () => {
    await target.register({ Name: "maintained" });
    expect((await consul("catalog", "nodes", "-service=maintained")).stdout).toMatch(
      /^Node +ID +Address +DC\nhere +\w{8} +127\.0\.0\.1 +dc1\n$/,
    );
    expect((await consul("catalog", "datacenters")).stdout).toBe("dc1\n");
    expect((await consul("members")).stdout).toMatch(/\nhere +127\.0\.0\.1:\d+ +alive +server +0\.1\.0 /);
    expect((await consul("maint", "-enable", "-service=maintained", "-reason=patches")).code).toBe(0);
    expect((await consul("maint")).stdout).toMatch(/ID: +maintained\n +Reason: +patches/);
    expect((await consul("maint", "-disable", "-service=maintained")).code).toBe(0);
    expect(await target.health("maintained", "?passing")).toHaveLength(1);
  });

  test("what is not there is said clearly", { timeout: 30_000 }, async () => {
    const { code, stderr } = await consul("kv", "get", "a");
    expect(code).toBe(1);
    expect(stderr).toContain("501 (The embedded registry does not have the key-value store: use a real Consul for it.)");
  });
});
