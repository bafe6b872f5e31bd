import { eventually } from "@protoloom/testing";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runRegistryProcess, startRegistryProcess, temporaryFolder } from "./test-contract/registry-process.ts";
import { createTarget } from "./test-contract/target.ts";
import type { CheckEntry, Target } from "./test-contract/target.ts";

describe("the registry's process", () => {
  test("says everything that is wrong with its settings at once, and exits with 1", async () => {
    const { code, stderr } = await runRegistryProcess({ MESH_REGISTRY_PORT: "many", MESH_LOG_LEVEL: "loud" });
    expect(code).toBe(1);
    expect(stderr).toMatch(/MESH_REGISTRY_PORT is "many".*\n.*MESH_LOG_LEVEL is "loud"/);
  });

  test("exits with 1 and names the address when that is taken", async () => {
    await using first = await startRegistryProcess();
    const port = first.address.split(":")[1] ?? "";
    const { code, stdout } = await runRegistryProcess({ MESH_REGISTRY_PORT: port });
    expect(code).toBe(1);
    expect(stdout).toContain(`EADDRINUSE: address already in use 127.0.0.1:${port}`);
  });

  test("SIGTERM answers those who wait and ends the process quickly, with 0", async () => {
    await using registry = await startRegistryProcess();
    const target = createTarget(registry.address);
    await target.register({ Name: "a" });
    const { index } = await target.send("GET", "/v1/health/service/a");
    const waiting = Array.from(
      { length: 20 },
      async () => await target.send("GET", `/v1/health/service/a?index=${index}&wait=10m`),
    );
    await target.send("GET", "/v1/status/leader");
    const startMs = performance.now();
    expect(await registry.end("SIGTERM")).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(2_000);
    for (const answer of await Promise.all(waiting)) expect([answer.status, answer.index]).toEqual([200, index]);
  });

  test("without a data directory a restart forgets everything", async () => {
    await using first = await startRegistryProcess();
    await createTarget(first.address).register({ Name: "a" });
    await first.end("SIGTERM");
    await using second = await startRegistryProcess();
    expect(await createTarget(second.address).read("/v1/catalog/services")).toEqual({});
  });
});

describe("with a data directory", () => {
  test("what was acknowledged survives SIGKILL at any moment, and indexes go on", { timeout: 30_000 }, async () => {
    using folder = temporaryFolder();
    const settings = { MESH_REGISTRY_DATA_DIR: join(folder.path, "data") };
    let lastIndex = 0;
    const acknowledged = new Set<string>();
    for (let round = 0; round < 3; round++) {
      await using registry = await startRegistryProcess(settings);
      const target = createTarget(registry.address);
      const listed = await target.send("GET", "/v1/catalog/services");
      const names = new Set(Object.keys(JSON.parse(listed.text) as object));
      expect([...acknowledged.difference(names)]).toEqual([]);
      // A registration that was cut off before its answer may be there: it stays, too.
      for (const name of names) acknowledged.add(name);
      expect(listed.index).toBeGreaterThan(lastIndex);
      await registerUntilKilled(target, { round, acknowledged, kill: async () => await registry.end("SIGKILL") });
      lastIndex = listed.index;
    }
  });

  test("the state of checks, the node's id and tags survive, and checks go on", { timeout: 30_000 }, async () => {
    using folder = temporaryFolder();
    const settings = { MESH_REGISTRY_DATA_DIR: folder.path };
    const checkOf = async (target: Target): Promise<CheckEntry | undefined> =>
      (await target.read<Record<string, CheckEntry>>("/v1/agent/checks"))["service:a"];
    await using first = await startRegistryProcess(settings);
    const before = createTarget(first.address);
    await before.register({ Name: "a", Tags: ["t"], Check: { TTL: "2s" } });
    await before.send("PUT", "/v1/agent/check/pass/service:a?note=fine");
    const stored = (): string => readFileSync(join(folder.path, "registry.json"), "utf8");
    await eventually(() => stored().includes('"status":"passing","output":"fine"'));
    const self = await before.read<{ Config: { NodeID: string } }>("/v1/agent/self");
    await first.end("SIGKILL");

    await using second = await startRegistryProcess(settings);
    const after = createTarget(second.address);
    expect(await checkOf(after)).toMatchObject({ Status: "passing", Output: "fine" });
    expect((await after.read<{ Config: { NodeID: string } }>("/v1/agent/self")).Config.NodeID).toBe(self.Config.NodeID);
    await eventually(async () => (await checkOf(after))?.Output === "TTL expired");
  });

  test("a reader of before the restart is answered at once", { timeout: 30_000 }, async () => {
    using folder = temporaryFolder();
    await using first = await startRegistryProcess({ MESH_REGISTRY_DATA_DIR: folder.path });
    await createTarget(first.address).register({ Name: "a" });
    const { index } = await createTarget(first.address).send("GET", "/v1/health/service/a");
    await first.end("SIGKILL");
    await using second = await startRegistryProcess({ MESH_REGISTRY_DATA_DIR: folder.path });
    const startMs = performance.now();
    const answer = await createTarget(second.address).send("GET", `/v1/health/service/a?index=${index}&wait=10s`);
    expect(answer.index).toBeGreaterThan(index);
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  test("a second process on the same directory is refused, and names the first", { timeout: 30_000 }, async () => {
    using folder = temporaryFolder();
    const settings = { MESH_REGISTRY_PORT: "0", MESH_REGISTRY_DATA_DIR: folder.path };
    await using first = await startRegistryProcess(settings);
    const { code, stdout } = await runRegistryProcess(settings);
    expect(code).toBe(1);
    expect(stdout).toContain(`the data directory ${folder.path} is in use by the registry at ${first.address}`);
    await first.end("SIGKILL");
    await using next = await startRegistryProcess(settings);
    expect(await createTarget(next.address).read("/v1/catalog/services")).toEqual({});
  });

  test("a file that cannot be read is not overwritten: the process says so and exits with 1", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "registry.json");
    writeFileSync(file, '{"format":1,"serv');
    const { code, stdout } = await runRegistryProcess({ MESH_REGISTRY_PORT: "0", MESH_REGISTRY_DATA_DIR: folder.path });
    expect(code).toBe(1);
    expect(stdout).toContain(`${file} cannot be read; move the file away to start empty`);
    expect(readFileSync(file, "utf8")).toBe('{"format":1,"serv');
  });
});

interface Round {
  readonly round: number;
  /** Names whose registration was answered. */
  readonly acknowledged: Set<string>;
  readonly kill: () => Promise<unknown>;
}

/** Registers from several clients, kills the process while they do, and notes what was answered. */
async function registerUntilKilled(target: Target, { round, acknowledged, kill }: Round): Promise<void> {
  let killed: Promise<unknown> | undefined;
  const client = async (number: number): Promise<void> => {
    for (let count = 0; ; count++) {
      const name = `r${round}-${number}-${count}`;
      try {
        await target.register({ Name: name, Check: { TTL: "60s" } });
      } catch {
        return; // Killed.
      }
      acknowledged.add(name);
      if (count >= 15) killed ??= kill();
    }
  };
  await Promise.all(Array.from({ length: 4 }, async (_, number) => await client(number)));
  await killed;
}
