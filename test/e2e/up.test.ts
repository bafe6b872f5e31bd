import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify, stripVTControlCharacters } from "node:util";
import { eventually } from "@protoloom/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { describeWith } from "../../tools/parts.ts";
import { sendJson } from "./json-client.ts";
import { commandOf, isRunning, processTree, pssMb } from "./processes.ts";
import { createDatabase } from "./stack.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);
const noSettings = Object.fromEntries(
  ["DATABASE_URL", "CONSUL_HTTP_ADDR", "CONSUL_HTTP_TOKEN", "NO_COLOR"].map((name) => [name, undefined]),
);

interface Ready {
  readonly edge: string;
  readonly registry: string;
  readonly services: Readonly<Record<string, readonly string[]>>;
}

/** `protoloom up` in a process of its own. */
interface Up {
  readonly child: ChildProcess;
  readonly ready: Ready;
  readonly readyMs: number;
  /** What it has written, without colours. */
  output(): string;
  /** Sends SIGINT, and gives the exit code. */
  interrupt(): Promise<number | null>;
}

let dir: string;
const children: ChildProcess[] = [];

function spawnUp(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, ["packages/cli/src/main.ts", "up", ...args], {
    cwd: root,
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, ".cache/node"), ...noSettings, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return { child, output: () => stripVTControlCharacters(text) };
}

async function startUp(args: readonly string[] = [], env: Readonly<Record<string, string | undefined>> = {}): Promise<Up> {
  const readyFile = join(dir, "ready.json");
  rmSync(readyFile, { force: true });
  const startedMs = performance.now();
  const { child, output } = spawnUp(["--ready-file", readyFile, "--data-dir", join(dir, "data"), ...args], env);
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(output());
      return existsSync(readyFile);
    },
    { timeoutMs: 30_000 },
  );
  const readyMs = performance.now() - startedMs;
  return {
    child,
    ready: JSON.parse(readFileSync(readyFile, "utf8")) as Ready,
    readyMs,
    output,
    async interrupt() {
      child.kill("SIGINT");
      if (child.exitCode === null) await once(child, "exit");
      return child.exitCode;
    },
  };
}

function ports({ edge, registry, services }: Ready): readonly number[] {
  return [
    ...[edge, registry].map((url) => Number(new URL(url).port)),
    ...Object.values(services)
      .flat()
      .map((address) => Number(address.split(":")[1])),
  ];
}

async function isTaken(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return false;
  } catch {
    return true;
  } finally {
    server.close();
  }
}

/** Each process has a shell beside it, which ends it if the launcher is killed. */
function isWatcher(pid: number): boolean {
  return commandOf(pid).startsWith("/bin/sh ");
}

/** Creates a user at the edge, and gives its id. */
async function createUser(edge: string, email: string): Promise<string> {
  const { status, body } = await sendJson("POST", `${edge}/v1/users`, { name: "Ada", email });
  expect(status).toBe(200);
  return String(body["id"]);
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "protoloom-up-"));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGINT");
    await once(child, "exit");
  }
  // What was killed ends by itself, a moment later.
  rmSync(join(dir, "data"), { recursive: true, force: true, maxRetries: 20 });
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("protoloom up", () => {
  test("is ready within 5 s, in less than 450 MB, and stops without an orphan", async () => {
    await (await startUp()).interrupt(); // Fills the compile cache, as the first start of a user does.
    const up = await startUp();
    expect(up.readyMs).toBeLessThan(5_000);
    expect(up.ready).toEqual({
      edge: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      registry: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      services: { user: [expect.stringMatching(/^127\.0\.0\.1:\d+$/)], product: [expect.stringMatching(/^127\.0\.0\.1:\d+$/)] },
    });
    const tree = processTree(up.child.pid ?? -1);
    expect(tree.filter((pid) => !isWatcher(pid))).toHaveLength(5);
    const pss = tree.map((pid) => pssMb(pid));
    console.log(`ready after ${Math.round(up.readyMs)} ms; PSS in MB: ${pss.map(Math.round).join(" + ")}`);
    expect(pss.reduce((sum, mb) => sum + mb)).toBeLessThan(450);
    expect(await up.interrupt()).toBe(0);
    expect(tree.filter(isRunning)).toEqual([]);
    for (const port of ports(up.ready)) expect(await isTaken(port)).toBe(false);
  });

  test("prints four commands that work as they are printed", async () => {
    const up = await startUp();
    const commands = [...up.output().matchAll(/^ {2}# .*\n {2}(\S.*)$/gm)].map(([, command]) => command ?? "");
    expect(commands).toHaveLength(4);
    for (const round of [1, 2]) {
      const outputs: string[] = [];
      for (const command of commands) outputs.push((await run("/bin/sh", ["-c", command], { cwd: root })).stdout);
      const [rest = "", connect = "", grpc = "", program = ""] = outputs;
      const { id } = JSON.parse(rest) as { id: string };
      expect(JSON.parse(connect), `round ${round}`).toEqual({ users: [JSON.parse(rest)] });
      expect(JSON.parse(grpc)).toEqual({});
      expect(program).toContain(`${id}  Ada Lovelace <ada@example.com>`);
    }
  });

  test("takes other ports when its own are taken, and says so", async () => {
    const taken = { registry: 8_500, user: 50_051, product: 50_052, edge: 8_080 };
    // Somebody else may have them already.
    const servers = Object.values(taken).map((port) =>
      createServer()
        .on("error", () => undefined)
        .listen(port, "127.0.0.1"),
    );
    try {
      const up = await startUp();
      for (const [name, port] of Object.entries(taken)) {
        expect(ports(up.ready)).not.toContain(port);
        expect(up.output()).toMatch(new RegExp(`^protoloom: port ${port} is taken: ${name} listens on \\d+$`, "m"));
      }
      expect((await sendJson("GET", `${up.ready.edge}/v1/users`)).status).toBe(200);
    } finally {
      for (const server of servers) server.close();
    }
  });

  test("a second mesh on the same data is refused with the reason", async () => {
    await startUp();
    const { child, output } = spawnUp(["--data-dir", join(dir, "data")]);
    await once(child, "exit");
    expect(child.exitCode).toBe(1);
    expect(output()).toMatch(/protoloom: (registry|user|product) ended before it was ready \(exit code 1\)/);
  });

  test("leaves nothing behind when it is killed", async () => {
    const up = await startUp();
    const tree = processTree(up.child.pid ?? -1);
    up.child.kill("SIGKILL");
    await eventually(() => tree.filter(isRunning).length === 0, { timeoutMs: 5_000 });
  });

  test("a second Ctrl-C ends it at once", async () => {
    const up = await startUp([], { MESH_DRAIN_NOTICE_MS: "8000" });
    const tree = processTree(up.child.pid ?? -1);
    up.child.kill("SIGINT");
    await eventually(() => up.output().includes("protoloom: stopping"));
    await new Promise((passed) => setTimeout(passed, 600));
    const beganMs = performance.now();
    await up.interrupt();
    expect(performance.now() - beganMs).toBeLessThan(2_000);
    expect(tree.filter(isRunning)).toEqual([]);
  });

  test("starts a process that crashed again on its port, says so, and keeps the data", async () => {
    const up = await startUp();
    const id = await createUser(up.ready.edge, "crash@example.com");
    const crashed =
      processTree(up.child.pid ?? -1).find((pid) => !isWatcher(pid) && commandOf(pid).includes("services/user/src/main.ts")) ??
      -1;
    process.kill(crashed, "SIGKILL");
    const address = up.ready.services["user"]?.[0];
    await eventually(() => up.output().includes(`user is back at ${address}`), { timeoutMs: 10_000 });
    expect(up.output()).toContain("user ended (SIGKILL) and starts again in 100 ms");
    await eventually(async () => (await sendJson("GET", `${up.ready.edge}/v1/users/${id}`)).status === 200, { timeoutMs: 5_000 });
  });

  test("the data survives a restart", async () => {
    const first = await startUp();
    const id = await createUser(first.ready.edge, "stays@example.com");
    await first.interrupt();
    const second = await startUp();
    expect((await sendJson("GET", `${second.ready.edge}/v1/users/${id}`)).body).toMatchObject({ id, email: "stays@example.com" });
  });

  test("several instances without DATABASE_URL are refused in one line", async () => {
    const { child, output } = spawnUp(["--instances", "user=3"]);
    await once(child, "exit");
    expect(child.exitCode).toBe(1);
    expect(output()).toBe(
      "protoloom: --instances user=3 needs DATABASE_URL: an SQLite file has one owner, several instances share PostgreSQL\n",
    );
  });

  test("an unknown option is refused with exit code 2, and help and version answer", async () => {
    const cli = async (...args: readonly string[]): Promise<string> =>
      (await run(process.execPath, ["packages/cli/src/main.ts", ...args], { cwd: root })).stdout;
    await expect(cli("up", "--bogus")).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining("--bogus") });
    expect(await cli("--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await cli("help")).toContain("Usage: protoloom up");
  });

  test("with --log json every line is JSON", async () => {
    const up = await startUp(["--log", "json"]);
    await up.interrupt();
    const lines = up.output().trim().split("\n");
    expect(lines.filter((line) => !line.startsWith("{"))).toEqual([]);
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty("level");
  });
});

describeWith(["consul", "postgres"], "protoloom up on Consul and PostgreSQL", () => {
  test("starts a Consul agent and several instances, and leaves no orphan", async () => {
    await using database = await createDatabase();
    const up = await startUp(["--registry", "consul", "--instances", "user=3"], { DATABASE_URL: database.url });
    expect(up.ready.services["user"]).toHaveLength(3);
    const answer = await fetch(`${up.ready.registry}/v1/agent/self`);
    expect(await answer.json()).toHaveProperty("Config.Version");
    await createUser(up.ready.edge, "consul@example.com");
    const tree = processTree(up.child.pid ?? -1);
    expect(await up.interrupt()).toBe(0);
    expect(tree.filter(isRunning)).toEqual([]);
  });

  test("uses the agent that CONSUL_HTTP_ADDR names, and starts none", async () => {
    await using database = await createDatabase();
    const agent = await startUp(["--registry", "consul"], { DATABASE_URL: database.url });
    const up = await startUp(["--data-dir", join(dir, "data-2")], { CONSUL_HTTP_ADDR: new URL(agent.ready.registry).host });
    expect(up.ready.registry).toBe(agent.ready.registry);
    expect(processTree(up.child.pid ?? -1).filter((pid) => !isWatcher(pid))).toHaveLength(4);
  });
});
