/** The kill matrix: what is done to the instances and the registry, and what must come of it. */
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "@protoloom/testing";
import type { CallRecord } from "./open-loop.ts";
import { type LoadReport, type Rig, instanceCount } from "./rig.ts";
import { type KeptStream, keepWatchingHealth } from "./kept-streams.ts";

/** How long things last, in ms. */
export interface RowTimes {
  /** How long an instance stays stopped. */
  readonly stoppedMs: number;
  /** How long the registry stays away. */
  readonly awayMs: number;
}

/** What one row of the matrix found. */
export interface RowReport {
  readonly row: string;
  readonly load: LoadReport;
  /** The figures of this row, as a sentence. */
  readonly figures: string;
  /** What is not as it has to be; empty when all is. */
  readonly problems: readonly string[];
}

/** One fault. */
export interface Row {
  readonly name: string;
  run(rig: Rig, times: RowTimes): Promise<RowReport>;
}

/** The instance that is hit. */
const victim = 1;
/** A latency that no call reaches unless it waits for an instance that hangs, in ms. */
const heldUpMs = 500;
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;

/** Calls that were in flight, on whichever instance, at some moment from `fromMs` to `toMs`. */
function inFlight(records: readonly CallRecord[], fromMs: number, toMs: number): readonly CallRecord[] {
  return records.filter(({ startedMs, endedMs }) => startedMs <= toMs && endedMs >= fromMs);
}

/** Failures whose code is none of those that are allowed. */
function strangeCodes({ codes }: LoadReport, allowed: readonly string[]): readonly string[] {
  return Object.entries(codes)
    .filter(([code]) => !allowed.includes(code))
    .map(([code, count]) => `${count} calls failed with ${code}`);
}

function list(...problems: readonly (string | false)[]): readonly string[] {
  return problems.filter((problem) => problem !== false);
}

const kill: Row = {
  name: "SIGKILL",
  async run(rig) {
    let [killedMs, goneMs, criticalMs] = [0, 0, 0];
    const load = await rig.underLoad(async (_, workload) => {
      await workload.noteExecutions(rig.instance(victim).address);
      killedMs = performance.now();
      await rig.instance(victim).kill("SIGKILL");
      goneMs = performance.now();
      await eventually(async () => (await rig.passing()) === instanceCount - 1, { timeoutMs: 6_000 });
      criticalMs = performance.now() - killedMs;
    });
    const there = inFlight(load.records, killedMs, goneMs).length;
    const outside = load.failed.length - inFlight(load.failed, killedMs, goneMs).length;
    return {
      row: kill.name,
      load,
      figures: `${there} calls were in flight on the three instances; critical after ${seconds(criticalMs)}`,
      problems: list(
        outside > 0 && `${outside} calls failed that were not in flight`,
        ...strangeCodes(load, ["UNAVAILABLE"]),
        ...load.problems,
      ),
    };
  },
};

const pause: Row = {
  name: "SIGSTOP for 1.5 s",
  async run(rig) {
    let stoppedMs = 0;
    const load = await rig.underLoad(async () => {
      stoppedMs = performance.now();
      rig.instance(victim).signal("SIGSTOP");
      await delay(1_500);
      rig.instance(victim).signal("SIGCONT");
    });
    const { heldUp, foundMs } = findHeldUp(load, stoppedMs);
    return {
      row: pause.name,
      load,
      figures: `found in ${seconds(foundMs)}, with ${heldUp} calls in flight there`,
      problems: list(
        foundMs > 1_000 && `calls went to the stopped instance for ${Math.round(foundMs)} ms`,
        // A timeout of 1 s, as reads of user have, is shorter than the pause.
        ...strangeCodes(load, ["DEADLINE_EXCEEDED"]),
        ...load.problems,
      ),
    };
  },
};

const stop: Row = {
  name: "SIGSTOP",
  async run(rig, { stoppedMs: lastsMs }) {
    const { address } = rig.instance(victim);
    let [stoppedMs, continuedMs] = [0, 0];
    const load = await rig.underLoad(async (running) => {
      stoppedMs = performance.now();
      rig.instance(victim).signal("SIGSTOP");
      await delay(lastsMs);
      rig.instance(victim).signal("SIGCONT");
      continuedMs = performance.now();
      const isBack = ({ answer, startedMs }: CallRecord<string>): boolean => answer === address && startedMs > continuedMs;
      await eventually(() => running.ended.some(isBack), { timeoutMs: 6_000 }).catch(() => {}); // A problem of the report.
    });
    const { heldUp, foundMs } = findHeldUp(load, stoppedMs);
    const back = load.records.find(({ answer, startedMs }) => answer === address && startedMs > continuedMs);
    const backMs = back === undefined ? Number.POSITIVE_INFINITY : back.endedMs - continuedMs;
    return {
      row: stop.name,
      load,
      figures: `found in ${seconds(foundMs)}, with ${heldUp} calls in flight there; called again ${seconds(backMs)} after SIGCONT`,
      problems: list(
        foundMs > 1_000 && `calls went to the stopped instance for ${Math.round(foundMs)} ms`,
        backMs > 5_000 && "the instance was not called within 5 s of SIGCONT",
        ...strangeCodes(load, ["UNAVAILABLE", "DEADLINE_EXCEEDED"]),
        ...load.problems,
      ),
    };
  },
};

/** The calls that waited for a stopped instance, or failed: how many, and until when such calls were made. */
function findHeldUp({ records }: LoadReport, stoppedMs: number): { readonly heldUp: number; readonly foundMs: number } {
  const waited = records.filter(
    ({ startedMs, endedMs, error }) => endedMs > stoppedMs && (error !== undefined || endedMs - startedMs > heldUpMs),
  );
  return { heldUp: waited.length, foundMs: Math.max(0, ...waited.map(({ startedMs }) => startedMs - stoppedMs)) };
}

const roll: Row = {
  name: "SIGTERM, one after the other",
  async run(rig) {
    const { name } = rig.subject.service;
    const ends: string[] = [];
    let [streams, drainMs]: [readonly KeptStream[], number] = [[], 0];
    const load = await rig.underLoad(async (_, workload) => {
      streams = [...workload.keepStreams(), ...Array.from({ length: 10 }, () => keepWatchingHealth(rig.client, name))];
      await eventually(() => streams.every(({ received }) => received > 0));
      for (let place = 0; place < instanceCount; place++) {
        await workload.noteExecutions(rig.instance(place).address);
        const askedMs = performance.now();
        const { code } = await rig.instance(place).stop();
        drainMs = Math.max(drainMs, performance.now() - askedMs);
        if (code !== 0) ends.push(`instance ${place} ended with ${code}`);
        await rig.instance(place).restart();
      }
    });
    await Promise.all(streams.map((stream) => stream.stop()));
    const resumed = streams.reduce((sum, stream) => sum + stream.resumed, 0);
    return {
      row: roll.name,
      load,
      figures: `${streams.length} streams resumed ${resumed} times, no message missing; longest drain ${seconds(drainMs)}`,
      problems: list(
        load.failed.length > 0 && `${load.failed.length} calls failed: ${JSON.stringify(load.codes)}`,
        resumed < streams.length && `the ${streams.length} streams were resumed ${resumed} times only`,
        ...new Set(streams.flatMap(({ problems }) => problems)),
        ...ends,
        ...load.problems,
      ),
    };
  },
};

const emptied: Row = {
  name: "registry killed, restarted empty",
  async run(rig) {
    let againMs = 0;
    const load = await rig.underLoad(async () => {
      await rig.mesh.registry?.kill();
      await delay(1_000);
      await rig.mesh.registry?.restart();
      againMs = await untilRegistered(rig, instanceCount);
    });
    return {
      row: emptied.name,
      load,
      figures: `all three registered again after ${seconds(againMs)}`,
      problems: list(
        load.failed.length > 0 && `${load.failed.length} calls failed: ${JSON.stringify(load.codes)}`,
        againMs > 5_000 && `registered again only after ${Math.round(againMs)} ms`,
        ...load.problems,
      ),
    };
  },
};

const away: Row = {
  name: "registry away, an instance killed",
  async run(rig, { awayMs }) {
    let [killedMs, goneMs, againMs] = [0, 0, 0];
    const load = await rig.underLoad(async (_, workload) => {
      await rig.mesh.registry?.kill();
      await delay(awayMs / 2);
      await workload.noteExecutions(rig.instance(victim).address);
      killedMs = performance.now();
      await rig.instance(victim).kill("SIGKILL");
      goneMs = performance.now();
      await delay(awayMs / 2);
      await rig.mesh.registry?.restart();
      againMs = await untilRegistered(rig, instanceCount - 1);
    });
    const there = inFlight(load.records, killedMs, goneMs).length;
    const outside = load.failed.length - inFlight(load.failed, killedMs, goneMs).length;
    return {
      row: away.name,
      load,
      figures: `away for ${seconds(awayMs)}, ${there} calls in flight on the three at the kill; the two registered again after ${seconds(againMs)}`,
      problems: list(
        outside > 0 && `${outside} calls failed that were not in flight when the instance was killed`,
        againMs > 5_000 && `registered again only after ${Math.round(againMs)} ms`,
        ...strangeCodes(load, ["UNAVAILABLE"]),
        ...load.problems,
      ),
    };
  },
};

/** How long it takes until so many instances pass again, in ms. */
async function untilRegistered(rig: Rig, count: number): Promise<number> {
  const upMs = performance.now();
  await eventually(async () => (await rig.passing()) === count, { timeoutMs: 10_000 });
  return performance.now() - upMs;
}

/** All rows, in an order in which none disturbs the next: a registry that has failed is doubted for a while. */
export const rows: readonly Row[] = [kill, pause, stop, roll, emptied, away];
