import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { expect, test } from "vitest";
import { describeWith } from "./parts.ts";
import { startPostgres } from "./postgres.ts";

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  client.on("error", () => undefined); // The server may end under it.
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH.
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not true within 10 s: ${condition.toString()}`);
    await sleep(20);
  }
}

const folders = (): Set<string> => new Set(globSync(join(tmpdir(), "protoloom-postgres-*")));

describeWith(["postgres"], "a throw-away PostgreSQL server", () => {
  test("keeps its data and its port over a restart, also after SIGKILL, and leaves nothing behind", async () => {
    const before = folders();
    const server = await startPostgres();
    const folder = [...folders()].find((path) => !before.has(path)) ?? "";
    await query(server.url, "create table kept (id int)");
    const first = server.pid;
    process.kill(first, "SIGKILL");
    await server.restart();
    expect(server.pid).not.toBe(first);
    expect(await query(server.url, "select count(*)::int as n from kept")).toEqual([{ n: 0 }]);
    await server.restart();
    expect(await query(server.url, "select count(*)::int as n from kept")).toEqual([{ n: 0 }]);
    await server.stop();
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
    expect(existsSync(folder)).toBe(false);
  });

  test("sorts text as people do", async () => {
    await using server = await startPostgres();
    const rows = await query(server.url, "select v from (values ('b'), ('A'), ('a'), ('B')) as t (v) order by v");
    expect(rows).toEqual([{ v: "a" }, { v: "A" }, { v: "b" }, { v: "B" }]);
  });

  test("ends when its parent is killed", async () => {
    const script = `import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, "postgres.ts"))};
const server = await startPostgres();
console.log(server.pid);
setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(line.toString());
    expect(isAlive(pid)).toBe(true);
    parent.kill("SIGKILL");
    await until(() => !isAlive(pid));
  });

  test("runs a command beside it, and ends with its exit code", async () => {
    const code = `process.exitCode = process.env.TEST_DATABASE_URL.startsWith("postgres://") ? 3 : 1;`;
    const child = spawn(process.execPath, [join(import.meta.dirname, "postgres.ts"), "--", process.execPath, "-e", code], {
      stdio: "inherit",
    });
    expect(await once(child, "exit")).toEqual([3, null]);
  });
});
