import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { CatalogState } from "../state/catalog.ts";

/** What is kept over a restart. */
export interface StoredState extends CatalogState {
  /** Version of this format. */
  readonly format: 1;
  readonly nodeId: string;
}

/** The name of the file in the data directory. */
export const stateFileName = "registry.json";

/** Reads what was stored; undefined if nothing was. Throws, with what to do, when the file is not one of ours. */
export async function loadState(dataDir: string): Promise<StoredState | undefined> {
  const path = join(dataDir, stateFileName);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const state = JSON.parse(text) as StoredState;
    if (state.format !== 1) throw new Error(`its format is ${String(state.format)}, not 1`);
    return state;
  } catch (error) {
    throw new Error(`the stored state in ${path} cannot be read; move the file away to start empty`, { cause: error });
  }
}

/** Replaces the file as a whole: after a crash there is the old state or the new one, never a part. */
export async function saveState(dataDir: string, state: StoredState): Promise<void> {
  const path = join(dataDir, stateFileName);
  await mkdir(dirname(path), { recursive: true });
  const next = `${path}.next`;
  const file = await open(next, "w", 0o600);
  try {
    await file.writeFile(JSON.stringify(state));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(next, path);
}
