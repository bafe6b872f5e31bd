import { existsSync } from "node:fs";
import { delimiter, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the repository, where the services and `.tools/bin` are. */
export const repositoryRoot: string = fileURLToPath(new URL("../../..", import.meta.url));

/** The command of a package's process: the `main` beside its index, TypeScript here and JavaScript where it is installed. */
export function packageProgram(name: "@protoloom/registry" | "@protoloom/edge"): readonly string[] {
  const index = fileURLToPath(import.meta.resolve(name));
  return [process.execPath, join(dirname(index), `main${extname(index)}`)];
}

/** The command of a service of this repository. */
export function serviceProgram(name: string): readonly string[] {
  return [process.execPath, join(repositoryRoot, "services", name, "src/main.ts")];
}

/** The path of a program: in `.tools/bin`, or else on a PATH, or undefined. */
export function findProgram(name: string, path: string): string | undefined {
  const folders = [join(repositoryRoot, ".tools/bin"), ...path.split(delimiter).filter((folder) => folder !== "")];
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
}
