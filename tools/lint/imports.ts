/**
 * Which file may import what: the layers of ARCHITECTURE.md as tables, and the one function that judges an import by
 * them. `plugin.ts` gives it to oxlint.
 */
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, posix } from "node:path";

/** The packages of this repository that each part may import. `test/fixture` is a service like any other. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  "gen/contracts": [],
  "gen/runtime": [],
  "packages/mesh": ["protos"],
  "packages/edge": ["mesh", "protos"],
  "packages/registry": ["mesh", "protos"],
  "packages/testing": ["cli", "mesh", "protos"],
  "packages/cli": ["mesh", "protos"],
  services: ["mesh", "protos", "contracts"],
  "test/fixture": ["mesh", "protos", "fixture"],
  test: ["testing", "cli", "mesh", "protos", "contracts", "fixture"],
  bench: ["testing", "cli", "mesh", "protos", "contracts", "fixture"],
  examples: ["mesh", "protos", "contracts"],
  tools: [],
};

/** What a test of a package may import besides. Edge, registry and services are processes: a test spawns them. */
const testsMayImport: readonly string[] = ["testing", "mesh", "protos", "contracts", "fixture"];

/** The layers inside packages/mesh/src, the lowest first: a folder imports from lower ones, never from its siblings. */
const layers: readonly (readonly string[])[] = [
  ["base"],
  ["contract", "consul"],
  ["discovery", "balancing", "resilience", "identity", "observability", "data"],
  ["rpc"],
  ["server", "client", "events", "saga"],
];

/** Modules that only some folders of the mesh may name. */
const owners: Readonly<Record<string, readonly string[]>> = {
  "@grpc/grpc-js": ["rpc"],
  consul: ["consul"],
  pg: ["data"],
  "node:sqlite": ["data"],
};

/** Judges one import of `file`, a path below `root` with `/`. Returns what is wrong with it, or undefined. */
export function judgeImport(root: string, file: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return judgeRelative(file, posix.join(posix.dirname(file), specifier));
  if (specifier.startsWith("node:")) return judgeOwner(file, specifier);
  if (isBuiltin(specifier)) return `write node:${specifier}`;
  return judgeOwner(file, moduleOf(specifier)) ?? judgePackage(root, file, specifier);
}

/** The workspace that a file belongs to, or its top folder, or "" for a file of the root. */
function partOf(file: string): string {
  return (
    /^(?:(?:gen|packages|services)\/[^/]+|test\/fixture|tools\/protoc-gen-protoloom)(?=\/)/.exec(file)?.[0] ??
    file.split("/").slice(0, -1)[0] ??
    ""
  );
}

/** A test of a package: `*.test.ts`, and what only those import, in a folder `test-*`. */
function isPackageTest(file: string): boolean {
  return /\.test\.ts$|\/test-[^/]+\//.test(file);
}

/** Tests, and what stands outside of the packages: their dependencies are the root's. The fixture is a service. */
function isTest(file: string): boolean {
  return isPackageTest(file) || ["test", "bench", "examples", "tools", ""].includes(partOf(file));
}

/** `@scope/name` or `name` of a specifier with a path behind it. */
function moduleOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

function judgeRelative(file: string, target: string): string | undefined {
  const [from, to] = [partOf(file), partOf(target)];
  if (from !== to)
    return isTest(file) && to === "tools" ? undefined : `${from} reaches into ${to}: import the package by its name`;
  if (isTest(file)) return undefined;
  if (isPackageTest(target)) return "only tests import what is there for tests";
  if (from !== "packages/mesh") return undefined;
  const [above, below] = [meshFolder(file), meshFolder(target)];
  if (above === below || above === undefined) return undefined;
  if (below === undefined) return `${above}/ imports a file above the layers`;
  const [mine, theirs] = [layerOf(above), layerOf(below)];
  if (mine === -1) return `packages/mesh/src/${above} is in no layer: tools/lint/imports.ts lists them`;
  if (theirs === mine) return `${above}/ and ${below}/ are siblings: neither imports the other`;
  return theirs > mine ? `${above}/ is below ${below}/ and may not import it` : undefined;
}

/** The folder below packages/mesh/src, or undefined for a file directly in it. */
function meshFolder(file: string): string | undefined {
  return /^packages\/mesh\/src\/([^/]+)\//.exec(file)?.[1];
}

function layerOf(folder: string): number {
  return layers.findIndex((layer) => layer.includes(folder));
}

function judgeOwner(file: string, module: string): string | undefined {
  const folders = Object.hasOwn(owners, module) ? owners[module] : undefined;
  if (folders === undefined || isTest(file) || file.startsWith("gen/")) return undefined;
  if (folders.includes(meshFolder(file) ?? "")) return undefined;
  return `only ${folders.map((folder) => `packages/mesh/src/${folder}`).join(" and ")} may name ${module}`;
}

function judgePackage(root: string, file: string, specifier: string): string | undefined {
  const module = moduleOf(specifier);
  const part = partOf(file);
  if (module.startsWith("@protoloom/")) {
    const allowed = [
      ...(mayImport[part] ?? mayImport[part.split("/")[0] ?? ""] ?? []),
      ...(isPackageTest(file) ? testsMayImport : []),
    ];
    if (!allowed.includes(module.slice("@protoloom/".length))) return `${part} may not import ${module}`;
    if (isTest(file)) return undefined; // npm links every workspace for the root.
  }
  const declared = new Set(dependencies(root, part, isTest(file)));
  if (isTest(file)) for (const name of dependencies(root, "", true)) declared.add(name);
  return declared.has(module)
    ? undefined
    : `${module} is not a dependency in ${part.includes("/") ? `${part}/` : ""}package.json`;
}

/** The dependencies that the package.json of a part declares; none where the part has no such file. */
function dependencies(root: string, part: string, forTests: boolean): string[] {
  const { dependencies, peerDependencies, devDependencies } = readManifest(join(root, part, "package.json"));
  return Object.keys({ ...dependencies, ...peerDependencies, ...(forTests ? devDependencies : {}) });
}

interface Manifest {
  readonly dependencies?: object;
  readonly peerDependencies?: object;
  readonly devDependencies?: object;
}

function readManifest(path: string): Manifest {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Manifest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new Error(`${path} cannot be read`, { cause: error });
  }
}
