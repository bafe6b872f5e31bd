/** What a registry that answers wrongly does to calls: two instances under load, found through a registry that a test scripts. */
import { setTimeout as delay } from "node:timers/promises";
import { FixtureService } from "@protoloom/fixture";
import { createDiscovery, createMesh } from "@protoloom/mesh";
import { type RegistryFault, type ScriptedRegistry, eventually, registryFaults, startScriptedRegistry } from "@protoloom/testing";
import { failures, startOpenLoop } from "./open-loop.ts";
import { callsPerSecond } from "./rig.ts";

/** A registry that does something wrong, until it is stopped. */
export interface RegistryTrouble {
  readonly name: string;
  /** Begins, and gives the function that ends it. `addresses` are those that the registry lists. */
  begin(registry: ScriptedRegistry, addresses: readonly string[]): () => void;
  /** True: what the registry says after it may be seen as late as the registry may hold a query, and 1 s. */
  readonly hangs?: boolean;
}

/** What came of it. */
export interface TroubleReport {
  readonly calls: number;
  readonly failed: number;
  /** Requests to the registry while it lasted, and how long that was. */
  readonly requests: number;
  readonly lastedMs: number;
  /** From the end of the trouble, with which a third instance is listed, to the first answer of that instance. */
  readonly seenMs: number;
  /** CPU time of the client, the load and the scripted registry, which share a process, as a share of one core: with a healthy registry before it, and during it. */
  readonly cpu: { readonly before: number; readonly during: number };
}

/** One wrong answer of each kind: what else there is differs for the resolver alone, whose own tests try it. */
const answers = [
  "whose index falls with every answer",
  "whose index is 0",
  "that answers at once with what is known",
  "that answers at once with an empty list",
  "that answers 500",
  "without leader",
  "that is overloaded and asks for a second",
  "that cuts its JSON off",
];

/** All troubles: wrong answers, a registry that never answers, and one that changes 100 times a second. */
export const registryTroubles: readonly RegistryTrouble[] = [
  ...answers.map((name) => ({ name, begin: answerWith(registryFaults[name]) })),
  { name: "that hangs", hangs: true, begin: answerWith(() => {}) },
  {
    name: "that changes 100 times a second",
    begin(registry, addresses) {
      let changes = 0;
      const timer = setInterval(() => registry.replace(addresses.slice(0, 1 + (changes++ % 2))), 10);
      return () => clearInterval(timer);
    },
  },
];

function answerWith(fault: RegistryFault | undefined): RegistryTrouble["begin"] {
  if (fault === undefined) throw new Error("no fault of the registry has that name");
  return (registry) => {
    registry.fault = fault;
    registry.wake();
    return () => void (registry.fault = undefined);
  };
}

/**
 * Calls two of the three addresses, 300 times a second, while the registry is healthy for `lastsMs`, and in trouble for as long;
 * then the registry lists the third as well. `waitMs` is how long it may hold a query.
 */
export async function runTrouble(
  trouble: RegistryTrouble,
  addresses: readonly string[],
  { lastsMs, waitMs }: { readonly lastsMs: number; readonly waitMs: number },
): Promise<TroubleReport> {
  const [listed, third] = [addresses.slice(0, 2), addresses[2]];
  await using registry = await startScriptedRegistry(listed, { service: "fixture" });
  await using discovery = createDiscovery({ address: registry.address, waitMs });
  await using mesh = createMesh({ registryUrl: registry.address }, { discovery });
  const client = mesh.client(FixtureService);
  await client.echo({});
  const load = startOpenLoop(callsPerSecond, async () => (await client.echo({ delayMs: 20 })).instance);
  try {
    // As long as the trouble: a single collection of garbage is a tenth of a core in one second, and would decide.
    const before = await cpuShare(() => delay(lastsMs));
    const requestsBefore = registry.queries + registry.evidence;
    const beganMs = performance.now();
    const end = trouble.begin(registry, listed);
    const during = await cpuShare(() => delay(lastsMs));
    const requests = registry.queries + registry.evidence - requestsBefore;
    const lastedMs = performance.now() - beganMs;
    end();
    const healedMs = performance.now();
    registry.replace(addresses);
    const seen = await eventually(() => load.ended.find(({ answer }) => answer === third), { timeoutMs: waitMs + 3_000 });
    const seenMs = seen.endedMs - healedMs;
    const records = await load.stop();
    return {
      calls: records.length,
      failed: failures(records).length,
      requests,
      lastedMs,
      seenMs,
      cpu: { before, during },
    };
  } finally {
    await load.stop();
  }
}

/** CPU time of this process during some work, as a share of one core. */
async function cpuShare(work: () => Promise<unknown>): Promise<number> {
  const [startedMs, used] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(used);
  return (user + system) / 1_000 / (performance.now() - startedMs);
}

/** What of a report is not as it has to be. */
export function judgeTrouble(trouble: RegistryTrouble, report: TroubleReport, waitMs: number): readonly string[] {
  const problems: string[] = [];
  // 20 requests in any 10 s; in a shorter time most of the two bursts (2 queries, 4 requests for evidence) may fall.
  const mostRequests = Math.max(20 * (report.lastedMs / 10_000), 6 + report.lastedMs * (1 / 1_000 + 1 / 2_500) + 1);
  const mostSeenMs = trouble.hangs === true ? waitMs + 1_000 : 1_500;
  if (report.failed > 0) problems.push(`${report.failed} calls failed`);
  if (report.requests > mostRequests) problems.push(`${report.requests} requests in ${Math.round(report.lastedMs)} ms`);
  if (report.seenMs > mostSeenMs) problems.push(`an instance was seen only ${Math.round(report.seenMs)} ms after it was listed`);
  if (report.cpu.during > report.cpu.before + 0.1) {
    problems.push(`the CPU rose from ${report.cpu.before.toFixed(2)} to ${report.cpu.during.toFixed(2)} of a core`);
  }
  return problems;
}
