/**
 * The last released contract, which `npm run check` compares the contracts of this moment with. It is an image in
 * `proto/released/`, with the version of @protoloom/contracts in its name, and this is the one way to replace it, as
 * a step of a release: `node tools/bootstrap.mjs release`. A release that breaks the last one needs a new major
 * version (a new minor one before 1.0.0).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";

const repository = resolve(import.meta.dirname, "..");
const folder = "proto/released";
/** The contracts of others that depend on us. Policy options may change until the first release of the mesh itself. */
const contracts = ["proto/user", "proto/product"];

/** A released contract: its version, and its image's path below the root. */
export interface Release {
  readonly version: string;
  readonly path: string;
}

/** The last release, or undefined before the first. */
export function lastRelease(root: string = repository): Release | undefined {
  const [path, ...others] = globSync(`${folder}/contracts-*.binpb`, { cwd: root });
  if (path === undefined) return undefined;
  if (others.length > 0) throw new Error(`${folder} holds more than one released contract: ${[path, ...others].join(", ")}`);
  return { version: basename(path, ".binpb").slice("contracts-".length), path };
}

/** The arguments of `buf` that compare the contracts of this moment with a release. One module against its image: the other forms of `buf breaking` fail when a module comes or goes. */
export function breakingArguments(release: Release): string[] {
  return ["breaking", "proto", "--against", release.path];
}

/** Versions up to this part may break each other: the major, or the minor below 1.0.0. */
function line(version: string): string {
  const [major, minor] = version.split(".");
  return major === "0" ? `0.${minor}` : `${major}`;
}

/** Writes the contracts of this moment as the last release. Throws where that would break its users, or nothing is new. */
export function release(root: string = repository): Release {
  const { version } = JSON.parse(readFileSync(join(root, "gen/contracts/package.json"), "utf8")) as { version: string };
  const last = lastRelease(root);
  if (last !== undefined) {
    if (version.localeCompare(last.version, "en", { numeric: true }) <= 0) {
      throw new Error(`version ${version} of gen/contracts/package.json is not after ${last.version}, the last release`);
    }
    const { status, stdout, stderr } = spawnSync("buf", breakingArguments(last), { cwd: root, encoding: "utf8" });
    if (status !== 0 && line(version) === line(last.version))
      throw new Error(`${version} breaks ${last.version}:\n${stdout}${stderr}`);
    rmSync(join(root, last.path));
  }
  const path = `${folder}/contracts-${version}.binpb`;
  mkdirSync(join(root, folder), { recursive: true });
  const paths = contracts.flatMap((contract) => ["--path", contract]);
  execFileSync("buf", ["build", "proto", ...paths, "--exclude-source-info", "-o", path], { cwd: root, stdio: "inherit" });
  return { version, path };
}

if (import.meta.main) console.log(`released ${release().path}`);
