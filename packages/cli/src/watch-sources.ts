import { watch } from "node:fs";

/** Writing a file, or generating code, gives many events: they count as one when no further comes for so long. */
const settleMs = 150;

/**
 * Calls back when a TypeScript source below a folder changes, tests apart, until the signal aborts. Folders that do not exist
 * are an error of the caller.
 */
export function watchSources(folders: readonly string[], onChange: () => void, signal: AbortSignal): void {
  let settle: NodeJS.Timeout | undefined;
  for (const folder of folders) {
    const watcher = watch(folder, { recursive: true, signal }, (_event, file) => {
      if (file === null || !file.endsWith(".ts") || file.endsWith(".test.ts")) return;
      clearTimeout(settle);
      settle = setTimeout(onChange, settleMs);
    });
    // A folder that is removed ends its watch; the others go on.
    watcher.on("error", () => watcher.close());
  }
  signal.addEventListener("abort", () => clearTimeout(settle), { once: true });
}
