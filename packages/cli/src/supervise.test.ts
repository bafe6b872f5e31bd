import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SupervisedProcess } from "./supervise.ts";
import { standIn } from "./test-programs/stand-in.ts";

let runDir: string;
const supervised: SupervisedProcess[] = [];

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), "protoloom-supervise-"));
});

afterEach(async () => {
  for (const process of supervised.splice(0)) {
    process.kill();
    await process.stop();
  }
  rmSync(runDir, { recursive: true, force: true });
});

/** A stand-in whose waits are recorded and take no time; `nowMs` is the clock's. */
function start(source: string): { process: SupervisedProcess; said: string[]; waits: number[]; clock: { nowMs: number } } {
  const [said, waits, clock] = [[] as string[], [] as number[], { nowMs: 0 }];
  const spec = { name: "stand-in", command: standIn(runDir, source), env: {} };
  const supervisedProcess = new SupervisedProcess(spec, {
    runDir,
    say: (message) => said.push(message),
    stopTimeoutMs: 300,
    clock: {
      monotonicMs: () => clock.nowMs,
      sleep: async (ms, signal) => {
        if (ms === 300) return delay(ms, undefined, signal === undefined ? {} : { signal });
        waits.push(ms);
      },
    },
  });
  supervised.push(supervisedProcess);
  return { process: supervisedProcess, said, waits, clock };
}

const lives = `ready(); process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1000);`;

async function kill(killed: SupervisedProcess): Promise<number> {
  const { pid } = killed;
  if (pid === undefined) throw new Error("no process runs");
  process.kill(pid, "SIGKILL");
  await vi.waitFor(() => expect(killed.pid).not.toBe(pid), { timeout: 5_000 });
  return pid;
}

test("a process that crashes starts again, after waits that double up to 5 s", async () => {
  const { process, said, waits } = start(lives);
  await process.ready;
  for (let crash = 1; crash <= 8; crash++) {
    await kill(process);
    await vi.waitFor(() => expect(said.at(-1)).toBe("is back at 127.0.0.1:1"), { timeout: 5_000 });
    expect(said).toHaveLength(crash * 2);
  }
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  expect(said[0]).toBe("ended (SIGKILL) and starts again in 100 ms");
}, 30_000);

test("after 30 s without a crash the waits start from the first again", async () => {
  const { process, said, waits, clock } = start(lives);
  await process.ready;
  await kill(process);
  await vi.waitFor(() => expect(said).toHaveLength(2), { timeout: 5_000 });
  clock.nowMs += 30_000;
  await kill(process);
  expect(waits).toEqual([100, 100]);
});

test("a first start that fails is not repeated", async () => {
  const { process, waits } = start(`process.exit(1);`);
  await expect(process.ready).rejects.toThrow("exit code 1");
  await process.stop();
  expect(waits).toEqual([]);
  expect(process.pid).toBeUndefined();
});

test("stop ends the process by SIGTERM, and it stays down", async () => {
  const { process, said } = start(lives);
  await process.ready;
  await process.stop();
  expect(process.pid).toBeUndefined();
  expect(said).toEqual([]);
});

test("a process that ignores SIGTERM is killed after the stop timeout", async () => {
  const { process } = start(`process.on("SIGTERM", () => {}); ready(); setInterval(() => {}, 1000);`);
  await process.ready;
  await process.stop();
  expect(process.pid).toBeUndefined();
});

test("restart starts another process at once", async () => {
  const { process, said, waits } = start(lives);
  await process.ready;
  const { pid } = process;
  process.restart();
  await vi.waitFor(() => expect(said).toEqual(["is back at 127.0.0.1:1"]), { timeout: 5_000 });
  expect(process.pid).not.toBe(pid);
  expect(waits).toEqual([]);
});
