/**
 * `npm run pack [-- [--out folder] name...]`: builds what other repositories install, by default all of it, and packs
 * it into `dist/*.tgz`, or into another folder of this repository. A name is the last part of a package's
 * (`contracts`); what it depends on is built and packed too.
 *
 * Each package is laid out in `dist/<name>/`: JavaScript and types in its `dist/`, the protos that it brings in its
 * `proto/`, and a package.json whose paths point there. Dependencies on others get a caret, so that a consumer has one
 * copy of each; ours stay exact.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = resolve(import.meta.dirname, "..");
const scope = "@protoloom/";
const { values: options, positionals: names } = parseArgs({ options: { out: { type: "string" } }, allowPositionals: true });
const dist = resolve(root, options.out ?? "dist");

/** What is published. */
const folders = [
  "gen/runtime",
  "gen/contracts",
  "packages/mesh",
  "packages/edge",
  "packages/registry",
  "packages/cli",
  "packages/testing",
  "tools/protoc-gen-protoloom",
];

/** Protos that a package brings in its `proto/`, a module for buf: what the contracts of other repositories import. */
const protos: Readonly<Record<string, readonly string[]>> = {
  "@protoloom/protos": ["proto/protoloom", "third_party/buf", "third_party/google"],
};

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** A package to build: its folder in the repository, the folder it is laid out in, and its package.json. */
interface Package {
  readonly source: string;
  readonly target: string;
  readonly manifest: Manifest;
}

const packages: readonly Package[] = folders.map((folder) => {
  const source = join(root, folder);
  const manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8")) as Manifest;
  return { source, target: join(dist, manifest.name.slice(scope.length)), manifest };
});

function ours(manifest: Manifest): readonly Package[] {
  const names = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  return packages.filter((candidate) => names.includes(candidate.manifest.name));
}

/** The named packages and all of ours that they need, each after those. */
function closure(names: readonly string[]): readonly Package[] {
  const wanted = new Set<Package>();
  const add = (item: Package): void => {
    ours(item.manifest).forEach(add);
    wanted.add(item);
  };
  for (const name of names) {
    const found = packages.find(({ manifest }) => manifest.name === scope + name || manifest.name === name);
    if (found === undefined)
      throw new Error(`no package is called ${name}, there are: ${packages.map((item) => item.manifest.name).join(", ")}`);
    add(found);
  }
  return [...wanted];
}

/** `./src/x.ts` as the path of what tsc makes of it; any other path stays. */
function compiled(path: string, extension: ".js" | ".d.ts"): string {
  return path.startsWith("./src/") ? path.replace("./src/", "./dist/").replace(/\.ts$/, extension) : path;
}

/** The package.json of the published package. */
function published(manifest: Manifest): object {
  const exports = Object.entries(manifest.exports ?? {}).map(([key, path]) =>
    path.endsWith(".ts") ? [key, { types: compiled(path, ".d.ts"), default: compiled(path, ".js") }] : [key, path],
  );
  const bin = Object.entries(manifest.bin ?? {}).map(([key, path]) => [key, compiled(path, ".js")]);
  const dependencies = Object.entries(manifest.dependencies ?? {}).map(([name, range]) => [
    name,
    !name.startsWith(scope) && /^\d/.test(range) ? `^${range}` : range,
  ]);
  return {
    ...manifest,
    exports: Object.fromEntries(exports),
    ...(bin.length > 0 && { bin: Object.fromEntries(bin) }),
    dependencies: Object.fromEntries(dependencies),
    files: protos[manifest.name] === undefined ? ["dist"] : ["dist", "proto"],
    engines: { node: manifest.name === `${scope}contracts` ? ">=20.19" : ">=24.14" },
  };
}

/** Where tsc finds the types of our packages that are built before this one: a source of theirs would be compiled into it. */
function typePaths(item: Package, config: string): Record<string, string[]> {
  const entries = ours(item.manifest).flatMap(({ manifest, target }) =>
    Object.entries(manifest.exports ?? {})
      .filter(([, path]) => path.endsWith(".ts"))
      .map(([key, path]) => [join(manifest.name, key), [relative(config, join(target, compiled(path, ".d.ts")))]] as const),
  );
  return Object.fromEntries(entries.map(([key, [path]]) => [key, [path?.startsWith(".") === true ? path : `./${path}`]]));
}

/** Runs a program; what it says is shown if it fails, and then nothing more is packed. */
function run(item: Package, command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status === 0) return;
  console.error(`${stdout}${stderr}pack: ${command} failed for ${item.manifest.name}`);
  process.exit(1);
}

function compile(item: Package): void {
  // Below the repository, where tsc finds the types of Node.
  const config = join(dist, ".tsconfig", relative(dist, item.target));
  mkdirSync(config, { recursive: true });
  const path = (to: string): string => relative(config, to);
  const tsconfig = {
    extends: path(join(root, "tsconfig.json")),
    compilerOptions: {
      noEmit: false,
      noEmitOnError: true,
      rewriteRelativeImportExtensions: true,
      rootDir: path(join(item.source, "src")),
      outDir: path(join(item.target, "dist")),
      paths: typePaths(item, config),
    },
    include: [`${path(join(item.source, "src"))}/**/*.ts`],
    exclude: ["**/*.test.ts", "**/test-*/**"].map((pattern) => `${path(join(item.source, "src"))}/${pattern}`),
  };
  writeFileSync(join(config, "tsconfig.json"), JSON.stringify(tsconfig, null, 2));
  run(item, "tsc", ["-p", config], root);
}

/** Copies what tsc does not compile: the files beside the sources, protos, the licence, and a README if the package has one. */
function copy(item: Package): void {
  const source = join(item.source, "src");
  for (const file of globSync("**/*.*", { cwd: source })) {
    if (!file.endsWith(".ts")) cpSync(join(source, file), join(item.target, "dist", file), { recursive: true });
  }
  for (const file of [join(root, "LICENSE"), ...globSync(join(item.source, "README.md"))])
    cpSync(file, join(item.target, basename(file)));
  for (const folder of protos[item.manifest.name] ?? [])
    cpSync(join(root, folder), join(item.target, "proto", basename(folder)), { recursive: true });
}

function pack(item: Package): string {
  const { name, version, bin } = item.manifest;
  rmSync(item.target, { recursive: true, force: true });
  compile(item);
  copy(item);
  for (const path of Object.values(bin ?? {})) chmodSync(join(item.target, compiled(path, ".js")), 0o755);
  writeFileSync(join(item.target, "package.json"), `${JSON.stringify(published(item.manifest), null, 2)}\n`);
  run(item, "npm", ["pack", "--silent", "--pack-destination", dist], item.target);
  return join(relative(root, dist), `${name.replace("@", "").replace("/", "-")}-${version}.tgz`);
}

if (names.length === 0) rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
for (const item of closure(names.length > 0 ? names : packages.map(({ manifest }) => manifest.name))) console.log(pack(item));
