import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { type ProcessEnd, type ProcessSpec, type ReadyReport, describeEnd } from "./process-spec.ts";

/** A process that runs, or has ended. */
export interface RunningProcess {
  readonly pid: number;
  /** Resolves when the process is ready. Rejects, with its last lines, if it ends before. */
  readonly ready: Promise<ReadyReport>;
  /** Resolves when the process has ended and its output has been read. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Sends a signal to the process; SIGKILL goes to the whole group that it has started. Does nothing after its end. */
  signal(signal: NodeJS.Signals): void;
}

/** Where a process leaves its ready file, and who reads its output. */
export interface LaunchOptions {
  /** Folder for ready files, the caller's to remove. */
  readonly runDir: string;
  /** Takes each line that the process writes, to stdout or stderr. */
  readonly onLine?: (line: string) => void;
}

/** How often a ready file is looked for. */
const pollMs = 15;
const keptLines = 20;
/** How long output is waited for after the end: a grandchild may hold the pipe for ever. */
const drainMs = 1_000;

/**
 * Starts a program by `exec`, so that the process id is the program's, beside a watcher that ends it when the pipe from the
 * launcher closes. The watcher is a shell, not code inside the program: it works in any language, and when the program hangs.
 */
const tether = `
(
  read -r _ <&3
  kill -TERM $$ 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do kill -0 $$ 2>/dev/null || exit 0; sleep 0.2; done
  kill -KILL $$
) >/dev/null 2>&1 &
exec "$@" 3<&-
`;

/**
 * Starts a process in a group of its own, so that a terminal's Ctrl-C does not reach it but through us. It never outlives this
 * process by more than 3 s, even when that is killed.
 */
export function launch(spec: ProcessSpec, { runDir, onLine }: LaunchOptions): RunningProcess {
  const readyFile = join(runDir, `${spec.name}.ready.json`);
  rmSync(readyFile, { force: true });
  const child = spawnTethered(spec, readyFile);
  const lastLines: string[] = [];
  const take = (line: string): void => {
    lastLines.push(line);
    if (lastLines.length > keptLines) lastLines.shift();
    onLine?.(line);
  };
  const read = Promise.all([readLines(child.stdout, take), readLines(child.stderr, take)]);
  const gone = new AbortController();
  const ended = waitForEnd(child, read).then(
    ({ code, signal }): ProcessEnd => ({ code, signal, lastLines }),
    (error: Error): ProcessEnd => ({ code: null, signal: null, lastLines: [error.message] }),
  );
  const ready = waitUntilReady(spec, readyFile, gone.signal);
  ready.catch(() => undefined); // Whoever waits sees it; a process that nobody waits for may end early.
  void ended.then((end) => gone.abort(endedEarly(spec.name, end)));
  return {
    pid: child.pid ?? -1,
    ready,
    ended,
    signal(signal) {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      if (signal === "SIGKILL") killGroup(child.pid);
      else child.kill(signal);
    },
  };
}

function spawnTethered({ command, env, cwd }: ProcessSpec, readyFile: string): ChildProcess {
  const [program, ...args] = command;
  if (program === undefined) throw new Error("a command has no program");
  // node:sqlite and type stripping warn at each start.
  const quiet = program === process.execPath ? ["--disable-warning=ExperimentalWarning"] : [];
  return spawn("/bin/sh", ["-c", tether, program, program, ...quiet, ...args], {
    env: { ...env, MESH_READY_FILE: readyFile },
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    ...(cwd === undefined ? {} : { cwd }),
  });
}

async function readLines(stream: Readable | null, take: (line: string) => void): Promise<void> {
  if (stream === null) return;
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) take(line);
}

async function waitForEnd(child: ChildProcess, read: Promise<unknown>): Promise<Omit<ProcessEnd, "lastLines">> {
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  // What the process has started and left behind ends with it, and so does the watcher.
  if (child.pid !== undefined) killGroup(child.pid);
  await Promise.race([read, delay(drainMs, undefined, { ref: false })]);
  return { code, signal };
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    // ESRCH: nothing is left of the group.
    if (!(error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM"))) throw error;
  }
}

async function waitUntilReady({ probe }: ProcessSpec, readyFile: string, signal: AbortSignal): Promise<ReadyReport> {
  for (;;) {
    const report = probe === undefined ? readReport(readyFile) : await probe(signal);
    signal.throwIfAborted();
    if (report !== undefined) return report;
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  }
}

function readReport(readyFile: string): ReadyReport | undefined {
  try {
    return JSON.parse(readFileSync(readyFile, "utf8")) as ReadyReport;
  } catch {
    return undefined; // Not written yet, or not to its end: not every program writes it in one step.
  }
}

function endedEarly(name: string, end: ProcessEnd): Error {
  const lines = end.lastLines.map((line) => `\n  ${line}`).join("");
  return new Error(`${name} ended before it was ready (${describeEnd(end)})${lines}`);
}
