import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const ownerFileName = "registry.owner.json";
/** A registry that answers at all answers within this time. */
const timeoutMs = 1_000;

/**
 * The address of the registry that keeps its state in this directory at this moment, or undefined. The registry itself is
 * asked for its node id, so a file that a crash has left behind holds nobody up.
 */
export async function findOwner(dataDir: string, nodeId: string): Promise<string | undefined> {
  try {
    const { address } = JSON.parse(await readFile(join(dataDir, ownerFileName), "utf8")) as { address: string };
    const answer = await fetch(`http://${address}/v1/agent/self`, { signal: AbortSignal.timeout(timeoutMs) });
    const self = (await answer.json()) as { Config?: { NodeID?: string } };
    return self.Config?.NodeID === nodeId ? address : undefined;
  } catch {
    return undefined; // No file, nobody there, or somebody else on that port: the directory is free.
  }
}

/** Notes the address at which the owner of this directory answers. */
export async function noteOwner(dataDir: string, address: string): Promise<void> {
  await writeFile(join(dataDir, ownerFileName), JSON.stringify({ address }));
}
