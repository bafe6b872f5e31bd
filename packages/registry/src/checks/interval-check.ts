import type { Clock, Logger, Random } from "@protoloom/mesh/process";
import type { CheckRecord } from "../state/check-record.ts";
import type { ProbeResult } from "./probe-result.ts";
import { createThresholds } from "./thresholds.ts";

/** What a probed check needs. */
export interface IntervalCheckDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Probes once. Rejects only when the signal aborts. */
  readonly probe: (check: CheckRecord, signal: AbortSignal) => Promise<ProbeResult>;
  readonly report: (result: ProbeResult) => void;
}

/** Shortest time between two probes; a shorter interval is raised without a word, as Consul does. */
export const minIntervalMs = 1_000;
/** A timer holds no more: 24.8 days. */
const maxIntervalMs = 2 ** 31 - 1;

/**
 * Probes again and again, first after a random part of the interval so that checks do not move in step, then one interval
 * after each result. The returned function stops it.
 */
export function startIntervalCheck(check: CheckRecord, deps: IntervalCheckDeps): () => void {
  const stop = new AbortController();
  run(check, deps, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) deps.log.error({ err: error, check: check.id }, "a check has ended");
  });
  return () => stop.abort();
}

async function run(check: CheckRecord, { clock, random, probe, report }: IntervalCheckDeps, signal: AbortSignal): Promise<void> {
  const intervalMs = Math.min(maxIntervalMs, Math.max(minIntervalMs, check.intervalMs));
  const judge = createThresholds(check.thresholds);
  await clock.sleep(random() * intervalMs, signal);
  for (;;) {
    const { status, output } = await probe(check, signal);
    signal.throwIfAborted();
    const judged = judge(status);
    if (judged !== undefined) report({ status: judged, output });
    await clock.sleep(intervalMs, signal);
  }
}
