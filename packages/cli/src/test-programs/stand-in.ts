import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** A Node program as a file in `folder`, with the function `ready()` that writes its ready file; the command that runs it. */
export function standIn(folder: string, source: string): readonly string[] {
  const path = join(folder, "program.mjs");
  writeFileSync(
    path,
    `import { writeFileSync } from "node:fs";
const ready = () => writeFileSync(process.env.MESH_READY_FILE, JSON.stringify({ address: "127.0.0.1:1" }));
${source}`,
  );
  return [process.execPath, path];
}
