/** `npm run bench [-- name...]`: runs the named scripts of `bench/`, by default all, one after the other. */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { basename, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const scripts = new Map(
  globSync(["bench/*.ts", "bench/*/main.ts"], { cwd: root })
    .filter((path) => !path.endsWith(".test.ts"))
    .toSorted()
    .map((path) => [basename(path) === "main.ts" ? (path.split("/")[1] ?? path) : basename(path, ".ts"), path]),
);
const names = process.argv.length > 2 ? process.argv.slice(2) : [...scripts.keys()];
for (const name of names) {
  const path = scripts.get(name);
  if (path === undefined) throw new Error(`no benchmark is called ${name}, there are: ${[...scripts.keys()].join(", ")}`);
  console.log(`# ${name}`);
  const { status } = spawnSync(process.execPath, [join(root, path)], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
