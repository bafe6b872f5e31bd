import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Clock, Environment } from "@protoloom/mesh";
import { type MeshAddresses, renderBanner } from "./banner.ts";
import { type UpOptions, defaultDataDir } from "./command-line.ts";
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

/** A mesh whose processes have been started. */
interface Running {
  readonly registryUrl: string;
  readonly registry: Started | undefined;
  readonly services: readonly Started[];
  readonly edge: Started;
}

/** Runs a mesh until `stop` aborts. Returns the exit code: 0 after an orderly stop, 1 if the mesh does not come up. */
export async function up(options: UpOptions, deps: UpDeps): Promise<number> {
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
  const running = startAll(plan, { options, deps, runDir });
  const killAll = (): void => startedOf(running).forEach(({ process }) => process.kill());
  deps.kill.addEventListener("abort", killAll, { once: true });
  try {
    const addresses = await untilReady(running, deps);
    if (addresses !== undefined) {
      if (options.readyFile !== undefined) writeReadyFile(options.readyFile, addresses);
      say(renderBanner(addresses, bannerOptions(plan, options, { deps, startedMs })));
      if (options.watch) watchAll(running, { say, signal: deps.stop });
      await aborted(deps.stop);
    }
    say("protoloom: stopping");
    return 0;
  } catch (error) {
    // The lines after the first repeat what the log has shown.
    deps.writeError(`protoloom: ${error instanceof Error ? error.message.split("\n", 1)[0] : String(error)}\n`);
    return 1;
  } finally {
    await stopAll(running);
    deps.kill.removeEventListener("abort", killAll);
    rmSync(runDir, { recursive: true, force: true });
  }
}

function startAll(plan: Plan, { options, deps, runDir }: { options: UpOptions; deps: UpDeps; runDir: string }): Running {
  const all = [...(plan.registry === undefined ? [] : [plan.registry]), ...plan.services, plan.edge];
  const style = { format: options.log, color: deps.color, nameWidth: Math.max(...all.map(({ spec }) => spec.name.length)) };
  const start = (planned: PlannedProcess, index: number): Started => {
    const { spec } = planned;
    const format = createLineFormatter(spec.name, index, style);
    const process = new SupervisedProcess(spec, {
      runDir,
      clock: deps.clock,
      onLine: (line) => deps.write(`${format(line)}\n`),
      say: (message) =>
        deps.write(`${format(JSON.stringify({ level: "warn", time: Date.now(), msg: `protoloom: ${spec.name} ${message}` }))}\n`),
    });
    return { ...planned, process };
  };
  return {
    registryUrl: plan.registryUrl,
    registry: plan.registry === undefined ? undefined : start(plan.registry, 0),
    services: plan.services.map((planned, index) => start(planned, index + 1)),
    edge: start(plan.edge, all.length - 1),
  };
}

function startedOf({ registry, services, edge }: Running): readonly Started[] {
  return [edge, ...services, ...(registry === undefined ? [] : [registry])];
}

/** The addresses once all processes are ready and the edge serves all services, or undefined if `stop` aborts before. */
async function untilReady(running: Running, { stop, clock }: UpDeps): Promise<MeshAddresses | undefined> {
  const over = new AbortController();
  try {
    return await Promise.race([
      addressesOf(running, over.signal),
      aborted(stop),
      clock.sleep(readyTimeoutMs, over.signal).then(() => {
        throw new Error(`not ready within ${readyTimeoutMs / 1_000} s`);
      }),
    ]);
  } finally {
    over.abort();
  }
}

async function addressesOf(running: Running, signal: AbortSignal): Promise<MeshAddresses> {
  await Promise.all(startedOf(running).map(({ process }) => process.ready));
  const { registryUrl, services, edge } = running;
  const addresses: Record<string, string[]> = {};
  for (const { role, process } of services) (addresses[role] ??= []).push((await process.ready).address);
  const edgeUrl = `http://${(await edge.process.ready).address}`;
  await waitForRoutes(edgeUrl, Object.keys(addresses), signal);
  return { edge: edgeUrl, registry: registryUrl, services: addresses };
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

function watchAll(running: Running, { say, signal }: { say: (text: string) => void; signal: AbortSignal }): void {
  for (const { spec, sources, process } of startedOf(running)) {
    const restart = (): void => {
      say(`protoloom: the sources of ${spec.name} have changed, it starts again`);
      process.restart();
    };
    watchSources(sources, restart, signal);
  }
}

/** The edge first, so that nothing calls services that are going; the registry last, so that they can deregister. */
async function stopAll({ registry, services, edge }: Running): Promise<void> {
  await edge.process.stop();
  await Promise.all(services.map(({ process }) => process.stop()));
  await registry?.process.stop();
}

async function aborted(signal: AbortSignal): Promise<undefined> {
  if (signal.aborted) return undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  return undefined;
}
