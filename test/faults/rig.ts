/** Three instances of a service under load, and what a fault there did to the calls. */
import { setTimeout as delay } from "node:timers/promises";
import { type Mesh, MeshError, codeName, createMesh } from "@protoloom/mesh";
import { type MeshProcess, type TestMesh, eventually } from "@protoloom/testing";
import { startOn } from "../e2e/stack.ts";
import { type CallRecord, type OpenLoop, failures, latencyMs, startOpenLoop } from "./open-loop.ts";
import type { Subject, Workload } from "./subjects.ts";

/** Calls a second, in all. */
export const callsPerSecond = 300;
/** Instances of the service. */
export const instanceCount = 3;

/** A mesh with one service, its client, and its load. Disposing it ends everything. */
export interface Rig extends AsyncDisposable {
  readonly subject: Subject;
  readonly mesh: TestMesh;
  readonly client: Mesh;
  /** An instance by its place. */
  instance(place: number): MeshProcess;
  /** How many instances pass in the registry's view; rejects while it is away. */
  passing(): Promise<number>;
  /** Waits until all instances run, pass, and are called. */
  whole(): Promise<void>;
  /** Puts the service under load for as long as `fault` runs, and half a second before and after it. */
  underLoad(fault: (load: OpenLoop<string>, workload: Workload) => Promise<void>): Promise<LoadReport>;
}

/** What became of the calls. */
export interface LoadReport {
  readonly records: readonly CallRecord<string>[];
  readonly failed: readonly CallRecord<string>[];
  /** How many failed with each code. */
  readonly codes: Readonly<Record<string, number>>;
  /** Latency of the calls that succeeded, from the moment each was to start. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Calls that were executed twice, or whose effect was lost. */
  readonly problems: readonly string[];
}

const calmMs = 500;

/** Starts the service three times on the subject's stack. `env` is for all of its processes. */
export async function startRig(subject: Subject, env: Readonly<Record<string, string>>): Promise<Rig> {
  await using cleanup = new AsyncDisposableStack();
  const { name } = subject.service;
  const services = [{ ...subject.service, instances: instanceCount }];
  const mesh = cleanup.use(await startOn(subject.stack, { edge: false, services, env: { MESH_LOG_LEVEL: "warn", ...env } }));
  const client = cleanup.use(createMesh({ registryUrl: mesh.registryUrl }));
  const instance = (place: number): MeshProcess => {
    const found = mesh.instances(name)[place];
    if (found === undefined) throw new Error(`there is no instance ${place}`);
    return found;
  };
  const passing = async (): Promise<number> => {
    const answer = await fetch(`${mesh.registryUrl}/v1/health/service/${name}?passing`, { signal: AbortSignal.timeout(1_000) });
    return ((await answer.json()) as unknown[]).length;
  };
  const rig = { subject, mesh, client, instance, passing };
  const owned = cleanup.move();
  return {
    ...rig,
    whole: () => untilWhole(rig),
    underLoad: (fault) => measure(rig, fault),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type RigParts = Pick<Rig, "subject" | "mesh" | "client" | "passing">;

async function untilWhole({ subject, mesh, client, passing }: RigParts): Promise<void> {
  const { name } = subject.service;
  await Promise.all(mesh.instances(name).map(async (process) => (process.running ? undefined : process.restart())));
  await eventually(async () => (await passing()) === instanceCount, { timeoutMs: 10_000 });
  const workload = await subject.prepare(client);
  const seen = new Set<string>();
  let index = 0;
  await eventually(
    async () => {
      for (const address of await Promise.all(Array.from({ length: 20 }, () => workload.call(index++)))) seen.add(address);
      return seen.size === instanceCount;
    },
    { timeoutMs: 10_000 },
  );
}

async function measure(
  { subject, mesh, client }: RigParts,
  fault: (load: OpenLoop<string>, workload: Workload) => Promise<void>,
): Promise<LoadReport> {
  const workload = await subject.prepare(client);
  const load = startOpenLoop(callsPerSecond, workload.call);
  try {
    await delay(calmMs);
    await fault(load, workload);
    await delay(calmMs);
  } finally {
    await load.stop();
  }
  const records = load.ended;
  const failed = failures(records);
  const codes: Record<string, number> = {};
  for (const { error } of failed) codes[codeOf(error)] = (codes[codeOf(error)] ?? 0) + 1;
  const running = mesh.instances(subject.service.name).filter((process) => process.running);
  return {
    records,
    failed,
    codes,
    p50Ms: latencyMs(records, 0.5),
    p99Ms: latencyMs(records, 0.99),
    maxMs: latencyMs(records, 1),
    problems: await workload.findProblems(running.map(({ address }) => address)),
  };
}

/** The name of a failure: its gRPC code, or for anything else what it says. */
export function codeOf(error: unknown): string {
  return error instanceof MeshError ? codeName(error.code) : String(error);
}
