/**
 * Builds `.tools/python`, a virtual environment with what tools/python/requirements.txt pins. Needs Python 3.11 to
 * 3.13 with `venv`; plain JavaScript, for Node 20 and newer.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Builds it below `root`, unless it was built from the same requirements and its Python is still there. */
export function buildPython(root) {
  const folder = join(root, ".tools/python");
  const requirements = join(root, "tools/python/requirements.txt");
  const stamp = join(folder, ".protoloom");
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash && existsSync(join(folder, "bin/python"))) {
    console.log("python: already built");
    return true;
  }
  console.log("python: building");
  const started = performance.now();
  rmSync(folder, { recursive: true, force: true });
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"];
  const steps = [
    ["python3", ["-m", "venv", folder]],
    [join(folder, "bin/python"), [...install, "--require-hashes", "-r", requirements]],
  ];
  for (const [command, args] of steps) {
    const { status, error } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
    if (status === 0) continue;
    console.error(error?.code === "ENOENT" ? "python: Python 3 is needed, and is not on PATH" : "python: it was not built");
    return false;
  }
  writeFileSync(stamp, hash);
  console.log(`python: built in ${Math.round((performance.now() - started) / 1000)} s`);
  return true;
}
