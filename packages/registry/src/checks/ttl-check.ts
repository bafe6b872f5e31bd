import type { Clock } from "@protoloom/mesh/process";
import type { ProbeResult } from "./probe-result.ts";

/** A check that the service feeds. */
export interface TtlCheck {
  /** Takes a beat, and starts the time anew. */
  beat(result: ProbeResult): void;
  stop(): void;
}

/** A timer holds no more: 24.8 days. */
const maxTtlMs = 2 ** 31 - 1;

/** Waits for beats: without one for `ttlMs`, counted from here on, the check turns critical. */
export function startTtlCheck(ttlMs: number, clock: Clock, report: (result: ProbeResult) => void): TtlCheck {
  const waitMs = Math.min(maxTtlMs, ttlMs);
  let lastOutput = "";
  let cancel = clock.after(waitMs, expire);
  function expire(): void {
    const output = lastOutput === "" ? "TTL expired" : `TTL expired (last output before timeout follows): ${lastOutput}`;
    report({ status: "critical", output });
  }
  return {
    beat(result) {
      cancel();
      cancel = clock.after(waitMs, expire);
      lastOutput = result.output;
      report(result);
    },
    stop: () => cancel(),
  };
}
