import { renameSync, writeFileSync } from "node:fs";

/**
 * Tells a launcher that this process is ready: writes `content` as JSON to `path`, all at once, so that a reader sees
 * nothing or everything. Without a path it does nothing. Throws what the file system says.
 */
export function writeReadyFile(path: string | undefined, content: object): void {
  if (path === undefined) return;
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(content)}\n`);
  renameSync(draft, path);
}
