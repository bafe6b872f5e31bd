import type { Clock, Logger, Random } from "@protoloom/mesh/process";
import type { Catalog } from "../state/catalog.ts";
import type { CheckRecord } from "../state/check-record.ts";
import { startIntervalCheck } from "./interval-check.ts";
import { limitOutput } from "./probe-result.ts";
import type { ProbeResult } from "./probe-result.ts";
import { runProbe } from "./run-probe.ts";
import { startTtlCheck } from "./ttl-check.ts";
import type { TtlCheck } from "./ttl-check.ts";

/** Runs the checks of a catalog for as long as they are in it. */
export interface CheckRunner extends Disposable {
  /** Gives a beat to a TTL check. False: the check has no TTL. */
  beat(checkId: string, result: ProbeResult): boolean;
  /** How many checks run. */
  readonly running: number;
}

/** What checks are run with. */
export interface CheckRunnerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

type Running = Pick<TtlCheck, "stop"> & Partial<Pick<TtlCheck, "beat">>;

/** Runs all checks that the catalog holds, and follows it. */
export function createCheckRunner(catalog: Catalog, { clock, random, log }: CheckRunnerOptions): CheckRunner {
  const running = new Map<string, Running>();
  const stop = (checkId: string): void => {
    running.get(checkId)?.stop();
    running.delete(checkId);
  };
  const start = (check: CheckRecord): void => {
    stop(check.id);
    const report = (result: ProbeResult): void => {
      const { status, output } = limitOutput(result, check.maxOutputLength);
      const before = catalog.checks.get(check.id)?.status;
      catalog.setStatus(check.id, status, output);
      if (before === status) return;
      const fields = { service: check.serviceId, check: check.id, before, status, output };
      if (status === "critical") log.info(fields, "a check turned critical");
      else log.debug(fields, "a check changed");
    };
    const { probe } = check;
    if (probe.type === "ttl") running.set(check.id, startTtlCheck(probe.ttlMs, clock, report));
    else if (check.intervalMs > 0) {
      const deps = {
        clock,
        random,
        log,
        report,
        probe: async (probed: CheckRecord, signal: AbortSignal) => await runProbe(probed, signal, clock),
      };
      running.set(check.id, { stop: startIntervalCheck(check, deps) });
    }
  };
  for (const check of catalog.checks.values()) start(check);
  let closed = false;
  catalog.follow((change) => {
    if (closed) return;
    if (change.kind === "check-defined") start(change.check);
    else if (change.kind === "check-removed") stop(change.checkId);
  });
  return {
    beat(checkId, result) {
      const check = running.get(checkId);
      if (check?.beat === undefined) return false;
      check.beat(result);
      return true;
    },
    get running() {
      return running.size;
    },
    [Symbol.dispose]() {
      closed = true;
      for (const checkId of [...running.keys()]) stop(checkId);
    },
  };
}
