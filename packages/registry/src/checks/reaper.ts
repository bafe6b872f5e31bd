import type { Clock, Logger } from "@protoloom/mesh/process";
import type { Catalog } from "../state/catalog.ts";

/** How long-dead services are removed. */
export interface ReaperOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Time between two looks. Consul: 30 s. */
  readonly intervalMs: number;
}

/**
 * Removes services whose check has been critical for longer than its `DeregisterCriticalServiceAfter`. Looks at them every
 * `intervalMs`, so removal comes up to that much later. The returned function stops it.
 */
export function startReaper(catalog: Catalog, { clock, log, intervalMs }: ReaperOptions): () => void {
  let cancel = clock.after(intervalMs, look);
  function look(): void {
    const nowMs = clock.now();
    for (const { id, serviceId, deregisterAfterMs, criticalSinceMs } of [...catalog.checks.values()]) {
      if (deregisterAfterMs === 0 || serviceId === "" || criticalSinceMs === undefined) continue;
      if (nowMs - criticalSinceMs < deregisterAfterMs) continue;
      if (catalog.deregister(serviceId))
        log.warn({ service: serviceId, check: id }, "removed a service that was critical for too long");
    }
    cancel = clock.after(intervalMs, look);
  }
  return () => cancel();
}
