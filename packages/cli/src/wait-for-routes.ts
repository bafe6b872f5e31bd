import { setTimeout as delay } from "node:timers/promises";

const pollMs = 50;

/** What the edge says of itself at /readyz. */
interface EdgeReadiness {
  readonly services: readonly { readonly name: string; readonly services: readonly string[] }[];
}

/**
 * Waits until the edge serves the services, by their names in the registry: it learns of each after its own start. Rejects
 * with the signal's reason.
 */
export async function waitForRoutes(edgeUrl: string, services: readonly string[], signal: AbortSignal): Promise<void> {
  for (;;) {
    const served = await servedBy(edgeUrl, signal);
    if (services.every((service) => served.has(service))) return;
    await delay(pollMs, undefined, { signal });
  }
}

async function servedBy(edgeUrl: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
  try {
    const answer = await fetch(`${edgeUrl}/readyz`, { signal });
    const { services } = (await answer.json()) as EdgeReadiness;
    return new Set(services.filter((service) => service.services.length > 0).map(({ name }) => name));
  } catch (error) {
    if (signal.aborted) throw error;
    return new Set(); // Not listening yet.
  }
}
