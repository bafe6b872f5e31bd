import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RunningProcess, launch } from "./launch.ts";
import { standIn } from "./test-programs/stand-in.ts";

let runDir: string;
const launched: RunningProcess[] = [];

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), "protoloom-launch-"));
});

afterEach(async () => {
  for (const running of launched.splice(0)) {
    running.signal("SIGKILL");
    await running.ended;
  }
  rmSync(runDir, { recursive: true, force: true });
});

const program = (source: string): readonly string[] => standIn(runDir, source);

function start(command: readonly string[], onLine?: (line: string) => void): RunningProcess {
  const running = launch(
    { name: "stand-in", command, env: { PATH: process.env["PATH"] } },
    onLine === undefined ? { runDir } : { runDir, onLine },
  );
  launched.push(running);
  return running;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A zombie is dead; only nobody has asked for its exit code.
  return !existsSync(`/proc/${pid}/stat`) || !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

async function untilDead(pid: number): Promise<void> {
  for (const deadline = performance.now() + 6_000; isAlive(pid); await delay(20)) {
    if (performance.now() > deadline) throw new Error(`process ${pid} still runs`);
  }
}

test("a process is ready when it has written its ready file, and its lines are given on", async () => {
  const lines: string[] = [];
  const running = start(
    program(
      `console.log("out"); console.error("err"); ready(); process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1000);`,
    ),
    (line) => lines.push(line),
  );
  expect(await running.ready).toEqual({ address: "127.0.0.1:1" });
  running.signal("SIGTERM");
  expect(await running.ended).toMatchObject({ code: 0, signal: null });
  expect(lines.toSorted()).toEqual(["err", "out"]);
});

test("a ready file that is written bit by bit counts when it is complete", async () => {
  const running = start(
    program(`writeFileSync(process.env.MESH_READY_FILE, '{"address":');
process.on("SIGUSR2", () => ready());
console.log("half"); setInterval(() => {}, 1000);`),
    (line) => {
      // Several looks at the file later.
      if (line === "half") setTimeout(() => process.kill(running.pid, "SIGUSR2"), 60);
    },
  );
  expect(await running.ready).toEqual({ address: "127.0.0.1:1" });
});

test("a process that ends before it is ready rejects with its last lines", async () => {
  const running = start(program(`console.error("the configuration has 1 problem(s)"); process.exit(1);`));
  await expect(running.ready).rejects.toThrow(
    /stand-in ended before it was ready \(exit code 1\)\n {2}the configuration has 1 problem/,
  );
});

test("a program that does not exist ends, and says so", async () => {
  const running = start(["no-such-program-anywhere"]);
  await expect(running.ready).rejects.toThrow(/no-such-program-anywhere/);
  expect((await running.ended).code).toBe(127);
});

test("a process that is not Node has the process id of the program, and SIGTERM reaches it", async () => {
  const lines: string[] = [];
  const running = start(["sleep", "60"], (line) => lines.push(line));
  running.signal("SIGTERM");
  expect(await running.ended).toMatchObject({ code: null, signal: "SIGTERM" });
  await untilDead(running.pid);
});

test("SIGKILL ends what the process has started too", async () => {
  const lines: string[] = [];
  const running = start(
    program(
      `import { spawn } from "node:child_process"; console.log(spawn("sleep", ["60"]).pid); ready(); setInterval(() => {}, 1000);`,
    ),
    (line) => lines.push(line),
  );
  await running.ready;
  running.signal("SIGKILL");
  await running.ended;
  await untilDead(Number(lines[0]));
});

/** Launches a process from a process of its own, and gives the ids of both. */
async function launchFromAnother(command: readonly string[]): Promise<{ launcher: ChildProcess; pid: number }> {
  const script = join(runDir, "launcher.mjs");
  writeFileSync(
    script,
    `import { launch } from ${JSON.stringify(new URL("launch.ts", import.meta.url).href)};
const running = launch({ name: "stand-in", command: ${JSON.stringify(command)}, env: process.env }, { runDir: ${JSON.stringify(runDir)} });
await running.ready;
console.log(running.pid);
setInterval(() => {}, 1000);`,
  );
  const launcher = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  const [chunk] = (await once(launcher.stdout, "data")) as [Buffer];
  return { launcher, pid: Number(chunk.toString()) };
}

test.for([
  ["a Node program", (): readonly string[] => program(`ready(); setInterval(() => {}, 1000);`)],
  [
    "a Node program that ignores SIGTERM",
    (): readonly string[] => program(`process.on("SIGTERM", () => {}); ready(); setInterval(() => {}, 1000);`),
  ],
  [
    "a Node program that hangs",
    (): readonly string[] =>
      program(`process.on("SIGTERM", () => {}); ready(); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`),
  ],
  [
    "a program that is not Node",
    (): readonly string[] => ["sh", "-c", `echo '{"address":""}' >"$MESH_READY_FILE"; exec sleep 60`],
  ],
] as const)("%s ends when its launcher is killed", async ([, command]) => {
  const { launcher, pid } = await launchFromAnother(command());
  expect(isAlive(pid)).toBe(true);
  launcher.kill("SIGKILL");
  await untilDead(pid);
});
