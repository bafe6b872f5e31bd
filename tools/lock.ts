/**
 * `node_modules/.bin/node tools/lock.ts`, after a change of dependencies: brings package-lock.json up to date, and adds
 * the packages for other systems and processors that npm leaves out when the registry in use does not offer them.
 * `npm ci` refuses a lock file without those. Their version is the one that their parent asks for; they have no
 * integrity, which is for the registry that offers them to give.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");

/** An entry of `packages` in a lock file, as far as it counts here. */
export interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** What a package is built for. */
export interface Platform {
  readonly cpu: readonly string[];
  readonly libc?: readonly string[];
  readonly os: readonly string[];
}

const systems = ["darwin", "win32", "linux", "android", "freebsd", "netbsd", "openbsd", "openharmony", "sunos", "aix"];
const processors: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["x64", "arm64", "arm", "ia32", "ppc64", "riscv64", "s390x", "loong64", "wasm32"].map((name) => [name, name]),
  ),
  aarch64: "arm64",
  armv7: "arm",
};

/** The platform that a package's name tells, in the words of npm: `x-linux-armv7` is for os linux and cpu arm. */
export function platformOf(name: string): Platform | undefined {
  const words = name.split(/[-/]/);
  const os = systems.find((system) => words.includes(system));
  const cpu = words.map((word) => processors[word]).find((found) => found !== undefined);
  if (os === undefined || cpu === undefined) return undefined;
  const library = words.some((word) => word.startsWith("musl"))
    ? "musl"
    : words.some((word) => word.startsWith("gnu"))
      ? "glibc"
      : undefined;
  return { cpu: [cpu], ...(library !== undefined && { libc: [library] }), os: [os] };
}

/** The entries that a lock file lacks: optional dependencies at an exact version, for a platform that their name tells. */
export function missingPackages(packages: Readonly<Record<string, LockedPackage>>): Record<string, LockedPackage> {
  const missing: Record<string, LockedPackage> = {};
  for (const [path, { dev, optionalDependencies }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies ?? {})) {
      const platform = platformOf(name);
      const known = [`${path}/node_modules/${name}`, `node_modules/${name}`].some((place) => Object.hasOwn(packages, place));
      if (known || platform === undefined || !/^\d+\.\d+\.\d+/.test(version)) continue;
      const { cpu, libc, os } = platform;
      // In npm's own order of keys, so that its next run changes nothing.
      missing[`node_modules/${name}`] = {
        version,
        cpu,
        ...(dev === true && { dev }),
        ...(libc !== undefined && { libc }),
        optional: true,
        os,
      };
    }
  }
  return missing;
}

if (import.meta.main) {
  // npm chooses versions by the Node that runs it: the pinned one.
  const PATH = [dirname(process.execPath), process.env["PATH"]].join(delimiter);
  execFileSync("npm", ["install", "--package-lock-only"], { cwd: root, stdio: "inherit", env: { ...process.env, PATH } });
  const file = resolve(root, "package-lock.json");
  const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, LockedPackage> };
  const missing = missingPackages(lock.packages);
  const packages = Object.entries({ ...lock.packages, ...missing }).toSorted(([a], [b]) => a.localeCompare(b, "en"));
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`);
  console.log(`package-lock.json: ${Object.keys(missing).length} packages for other platforms added`);
}
