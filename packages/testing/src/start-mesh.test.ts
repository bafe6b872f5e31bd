import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MeshService } from "./start-mesh.ts";
import { startMesh } from "./start-mesh.ts";

let folder: string;
let echo: MeshService;
const registry = { url: "http://127.0.0.1:9" };

/** A service that answers with its environment, and one that cannot start. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "protoloom-testing-"));
  const program = join(folder, "echo.mjs");
  writeFileSync(
    program,
    `import { createServer } from "node:http";
import { renameSync, writeFileSync } from "node:fs";
const server = createServer((_request, answer) => answer.end(JSON.stringify(process.env)));
server.listen(Number(process.env.MESH_LISTEN_PORT), "127.0.0.1", () => {
  console.log("listening");
  const file = process.env.MESH_READY_FILE;
  writeFileSync(file + ".part", JSON.stringify({ address: "127.0.0.1:" + server.address().port }));
  renameSync(file + ".part", file);
});
process.on("SIGTERM", () => process.exit(0));`,
  );
  echo = { name: "echo", command: [process.execPath, program] };
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function environmentOf(address: string): Promise<Record<string, string>> {
  return (await (await fetch(`http://${address}`)).json()) as Record<string, string>;
}

test("a service of any team runs with the environment of the mesh, on ports of its own", async () => {
  await using mesh = await startMesh({
    registry,
    edge: false,
    services: [{ ...echo, env: { EXTRA: "1" }, instances: 2 }],
    databaseUrl: "postgres://x",
  });
  const [first, second] = mesh.instances("echo");
  expect(first?.address).not.toBe(second?.address);
  const env = await environmentOf(mesh.instance("echo").address);
  expect(env).toMatchObject({ CONSUL_HTTP_ADDR: registry.url, DATABASE_URL: "postgres://x", EXTRA: "1" });
  expect(env).not.toHaveProperty("VITEST");
  expect(first?.lines).toEqual(["listening"]);
});

test("an instance that was killed restarts on its address, as another process", async () => {
  await using mesh = await startMesh({ registry, edge: false, services: [echo] });
  const instance = mesh.instance("echo");
  const { address, pid } = instance;
  expect(await instance.kill()).toMatchObject({ signal: "SIGKILL" });
  expect(instance.running).toBe(false);
  await instance.restart();
  expect(instance.running).toBe(true);
  expect(instance.address).toBe(address);
  expect(instance.pid).not.toBe(pid);
  expect(await instance.stop()).toMatchObject({ code: 0 });
});

test("disposing ends every process and removes the data", async () => {
  const mesh = await startMesh({ registry, edge: false, services: [echo] });
  const later = await mesh.start("echo");
  const { MESH_DATA_DIR: dataDir = "" } = await environmentOf(later.address);
  expect(existsSync(dataDir)).toBe(true);
  await mesh[Symbol.asyncDispose]();
  expect(existsSync(dataDir)).toBe(false);
  expect(mesh.instances("echo").map(({ running }) => running)).toEqual([false, false]);
  await expect(fetch(`http://${later.address}`)).rejects.toThrow();
});

test("a service that does not start fails the whole mesh, with its last lines", async () => {
  const broken = { name: "broken", command: [process.execPath, "-e", "console.error('no database'); process.exit(1)"] };
  await expect(startMesh({ registry, edge: false, services: [echo, broken] })).rejects.toThrow(
    /^broken-2 ended before it was ready \(exit code 1\)\n {2}no database$/,
  );
});

test("a service that is never ready is killed when its time is up", async () => {
  const silent = { name: "silent", command: [process.execPath, "-e", "console.log(process.pid); setInterval(() => {}, 1000)"] };
  const error: unknown = await startMesh({ registry, edge: false, services: [silent], readyTimeoutMs: 500 }).catch(
    (reason: unknown) => reason,
  );
  expect(String(error)).toMatch(/silent-1 was not ready within 500 ms\n {2}\d+$/);
  const pid = Number(/(\d+)$/.exec(String(error))?.[1]);
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});
