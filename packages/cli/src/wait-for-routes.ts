import { setTimeout as delay } from "node:timers/promises";

const pollMs = 50;

/**
 * Waits until the edge serves the services: it learns of each from the registry after its own start. Rejects with the signal's
 * reason.
 */
export async function waitForRoutes(edgeUrl: string, services: readonly string[], signal: AbortSignal): Promise<void> {
  for (const service of services) {
    while (!(await isServed(`${edgeUrl}/v1/${service}s?pageSize=1`, signal))) await delay(pollMs, undefined, { signal });
  }
}

async function isServed(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal });
    await answer.arrayBuffer();
    return answer.ok;
  } catch (error) {
    if (signal.aborted) throw error;
    return false; // Not listening yet.
  }
}
