import type { CheckRecord, CheckStatus } from "../state/check-record.ts";

/**
 * Decides when a row of results turns a status. Returns the status that a result leads to, or undefined while the row is too
 * short and the status stays as it is. Before the first success there is nothing to be patient with: one failure is enough.
 */
export function createThresholds({
  passing,
  warning,
  critical,
}: CheckRecord["thresholds"]): (result: CheckStatus) => CheckStatus | undefined {
  let successes = 0;
  let failures = critical;
  return (result) => {
    if (result !== "critical") {
      failures = 0;
      successes += 1;
      return successes >= passing ? result : undefined;
    }
    successes = 0;
    failures += 1;
    if (failures >= critical) return "critical";
    return failures >= warning ? "warning" : undefined;
  };
}
