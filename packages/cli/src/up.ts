import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Clock, Environment } from "@protoloom/mesh";
import { type MeshAddresses, renderBanner } from "./banner.ts";
import { type UpOptions, defaultDataDir } from "./command-line.ts";
import { createProgress } from "./demo-progress.ts";
import { fillWithDemoData } from "./demo.ts";
import { createLineFormatter, painter } from "./log-lines.ts";
import { type Plan, PlanError, type PlannedProcess, planMesh } from "./plan.ts";
import { findProgram } from "./program.ts";
import { SupervisedProcess } from "./supervise.ts";
import { waitForRoutes } from "./wait-for-routes.ts";
import { watchSources } from "./watch-sources.ts";

/** What `up` takes from the outside. */
export interface UpDeps {
  readonly env: Environment;
  readonly clock: Pick<Clock, "sleep" | "monotonicMs">;
  /** Writes to stdout. */
  readonly write: (text: string) => void;
  /** Writes to stderr: why the mesh does not come up. */
  readonly writeError: (text: string) => void;
  readonly color: boolean;
  /** Whether stdout is a terminal. */
  readonly terminal: boolean;
  /** Aborts when the user wants it to end, in order. */
  readonly stop: AbortSignal;
  /** Aborts when the user wants it to end at once. */
  readonly kill: AbortSignal;
}

/** How long all processes may take to be ready, in ms. */
const readyTimeoutMs = 60_000;

interface Started extends PlannedProcess {
  readonly process: SupervisedProcess;
}

/** Starts of the whole mesh: somebody else may take a port between the search for a free one and its use. */
const maxStarts = 3;

/** Runs a mesh until `stop` aborts. Returns the exit code: 0 after an orderly stop, 1 if the mesh does not come up. */
export async function up(options: UpOptions, deps: UpDeps): Promise<number> {
  for (let start = 1; ; start++) {
    const outcome = await runMesh(options, deps);
    if (outcome !== "port-taken") return outcome;
    if (start === maxStarts || deps.stop.aborted) return 1;
    deps.writeError("protoloom: a port was taken meanwhile, the mesh starts again on others\n");
  }
}

async function runMesh(options: UpOptions, outside: UpDeps): Promise<number | "port-taken"> {
  const progress = createProgress({ write: outside.write, terminal: outside.terminal });
  const deps: UpDeps = { ...outside, write: progress.write };
  const startedMs = deps.clock.monotonicMs();
  const paint = painter(deps.color);
  const say = (text: string): void => {
    if (options.log === "pretty") deps.write(`${text}\n`);
  };
  let plan: Plan;
  try {
    plan = await planMesh(options, deps.env);
    mkdirSync(options.dataDir ?? defaultDataDir, { recursive: true });
  } catch (error) {
    if (!(error instanceof PlanError || (error instanceof Error && "code" in error))) throw error;
    deps.writeError(`protoloom: ${error.message}\n`);
    return 1;
  }
  for (const notice of plan.notices) say(paint("yellow", `protoloom: ${notice}`));
  const runDir = mkdtempSync(join(tmpdir(), "protoloom-"));
  // In the order of their start.
  const started: Started[] = [];
  let filledUntilMs = 0;
  const isShown = (line: string): boolean => !(callTimeMs(line) < filledUntilMs);
  const killAll = (): void => started.forEach(({ process }) => process.kill());
  deps.kill.addEventListener("abort", killAll, { once: true });
  try {
    const addresses = await startAll(plan, createStarter(plan, { options, deps, runDir, started, isShown }), deps);
    if (addresses !== undefined && options.demo) {
      const isPretty = options.log === "pretty";
      filledUntilMs = isPretty ? Infinity : 0;
      await fillWithDemoData(addresses.edge, { ...deps, say, ...(isPretty && { progress }) });
      filledUntilMs = isPretty ? Date.now() + lateLineMs : 0;
    }
    if (addresses !== undefined && !deps.stop.aborted) {
      if (options.readyFile !== undefined) writeReadyFile(options.readyFile, addresses);
      say(renderBanner(addresses, bannerOptions(plan, options, { deps, startedMs })));
      if (options.watch) watchAll(started, { say, signal: deps.stop });
      await aborted(deps.stop);
    }
    say("protoloom: stopping");
    return 0;
  } catch (error) {
    // The lines after the first repeat what the log has shown.
    deps.writeError(`protoloom: ${error instanceof Error ? error.message.split("\n", 1)[0] : String(error)}\n`);
    return error instanceof Error && error.message.includes("EADDRINUSE") ? "port-taken" : 1;
  } finally {
    await stopAll(started);
    deps.kill.removeEventListener("abort", killAll);
    rmSync(runDir, { recursive: true, force: true });
  }
}

/** A process tells of a call after it has answered, in ms. */
const lateLineMs = 100;

/** When a line was written that tells of one call that went well, and NaN for others: the demo data takes thousands of those. */
function callTimeMs(line: string): number {
  if (!line.includes('"level":"info"') || !/"msg":"(?:call|request)"/.test(line)) return Number.NaN;
  return Date.parse(/"time":"([^"]+)"/.exec(line)?.[1] ?? "");
}

type Starter = (planned: PlannedProcess) => SupervisedProcess;

/** Starts processes with their lines in one log, and adds them to `started`. */
function createStarter(
  plan: Plan,
  {
    options,
    deps,
    runDir,
    started,
    isShown,
  }: { options: UpOptions; deps: UpDeps; runDir: string; started: Started[]; isShown: (line: string) => boolean },
): Starter {
  const names = [plan.registry, ...plan.services, plan.edge].flatMap((planned) => planned?.spec.name ?? []);
  const style = { format: options.log, color: deps.color, nameWidth: Math.max(...names.map(({ length }) => length)) };
  return (planned) => {
    const { name } = planned.spec;
    const format = createLineFormatter(name, names.indexOf(name), style);
    const onLine = (line: string): void => {
      if (isShown(line)) deps.write(`${format(line)}\n`);
    };
    const say = (message: string): void =>
      onLine(JSON.stringify({ level: "warn", time: Date.now(), name: "protoloom", msg: `${name} ${message}` }));
    const process = new SupervisedProcess(planned.spec, { runDir, clock: deps.clock, onLine, say });
    started.push({ ...planned, process });
    return process;
  };
}

/** The addresses once all processes are ready and the edge serves all services, or undefined if `stop` aborts before. */
async function startAll(plan: Plan, start: Starter, { stop, clock }: UpDeps): Promise<MeshAddresses | undefined> {
  const over = new AbortController();
  try {
    return await Promise.race([
      startInOrder(plan, start, AbortSignal.any([over.signal, stop])),
      aborted(stop),
      clock.sleep(readyTimeoutMs, over.signal).then(() => {
        throw new Error(`not ready within ${readyTimeoutMs / 1_000} s`);
      }),
    ]);
  } finally {
    over.abort();
  }
}

/**
 * Registry and services together: a service waits for its registry. The edge after them, since what is registered when it
 * starts is served at once, and what comes later a second later.
 */
async function startInOrder(plan: Plan, start: Starter, signal: AbortSignal): Promise<MeshAddresses> {
  const registry = plan.registry === undefined ? undefined : start(plan.registry);
  const services = plan.services.map((planned) => ({ role: planned.role, process: start(planned) }));
  await Promise.all([registry?.ready, ...services.map(({ process }) => process.ready)]);
  signal.throwIfAborted();
  const edgeUrl = `http://${(await start(plan.edge).ready).address}`;
  const addresses: Record<string, string[]> = {};
  for (const { role, process } of services) (addresses[role] ??= []).push((await process.ready).address);
  await waitForRoutes(edgeUrl, Object.keys(addresses), signal);
  return { edge: edgeUrl, registry: plan.registryUrl, services: addresses };
}

function bannerOptions(
  plan: Plan,
  { dataDir = defaultDataDir }: UpOptions,
  { deps, startedMs }: { deps: UpDeps; startedMs: number },
): Parameters<typeof renderBanner>[1] {
  return {
    registryKind: plan.registryKind,
    dataDir,
    postgres: (deps.env["DATABASE_URL"] ?? "") !== "",
    readyAfterMs: deps.clock.monotonicMs() - startedMs,
    color: deps.color,
    findProgram: (name) => findProgram(name, deps.env["PATH"] ?? ""),
  };
}

/** Written beside and renamed: whoever waits for the file never reads half of it. */
function writeReadyFile(path: string, addresses: MeshAddresses): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.part`, `${JSON.stringify(addresses)}\n`);
  renameSync(`${path}.part`, path);
}

function watchAll(started: readonly Started[], { say, signal }: { say: (text: string) => void; signal: AbortSignal }): void {
  for (const { spec, sources, process } of started) {
    const restart = (): void => {
      say(`protoloom: the sources of ${spec.name} have changed, it starts again`);
      process.restart();
    };
    watchSources(sources, restart, signal);
  }
}

/** The edge first, so that nothing calls services that are going; the registry last, so that they can deregister. */
async function stopAll(started: readonly Started[]): Promise<void> {
  const isService = ({ role }: Started): boolean => role !== "edge" && role !== "registry";
  for (const group of [
    started.filter(({ role }) => role === "edge"),
    started.filter(isService),
    started.filter(({ role }) => role === "registry"),
  ]) {
    await Promise.all(group.map(({ process }) => process.stop()));
  }
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  return undefined;
}
