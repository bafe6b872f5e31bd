/** Another team's repository: examples/greeter with nothing of ours but what npm installs from the packed tarballs. */
import { execFile } from "node:child_process";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);
let folder: string;

/** The tools that are not ours come from here: installing them again would prove nothing, and takes 200 MB. */
const tools = ["@bufbuild/buf", "ts-proto", "typescript"];

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** Runs a program in the folder, its own programs first on PATH. Rejects with all that it said. */
async function runThere(command: string, ...args: readonly string[]): Promise<string> {
  const PATH = ["node_modules/.bin", join(root, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
  // What this machine needs to reach its npm registry is in its environment (certificates, a proxy); what npm tells the
  // scripts of this repository is not for another one.
  const settings = Object.entries(process.env).filter(([name]) => !/^(?:npm_|VITEST|TEST|NODE_ENV|DEV|PROD|MODE)/.test(name));
  const env = { ...Object.fromEntries(settings), PATH, NODE_COMPILE_CACHE: join(root, ".cache/node") };
  try {
    return (await run(command, args, { cwd: folder, env, timeout: 60_000 })).stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

/** Packs everything that other teams install. Gives each tarball by the name of its package. */
async function pack(): Promise<Record<string, string>> {
  const { stdout } = await run(process.execPath, ["tools/pack.ts", "--out", ".cache/installed"], { cwd: root });
  const archives = stdout.trim().split("\n");
  return Object.fromEntries(
    archives
      .map((path) => [/protoloom-(.+)-\d+\.\d+\.\d+\.tgz$/.exec(path)?.[1], path] as const)
      .map(([name, path]) => [`@protoloom/${name}`, `file:${join(root, path)}`]),
  );
}

/** As the team's package.json, but for the tarballs, which stand for what a registry would give. */
function writeManifest(archives: Readonly<Record<string, string>>): void {
  const file = join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as Manifest;
  const local = (dependencies: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(dependencies)
        .filter(([name]) => !tools.includes(name))
        .map(([name, range]) => [name, archives[name] ?? range]),
    );
  const { dependencies, devDependencies } = manifest;
  const own = { dependencies: local(dependencies), devDependencies: local(devDependencies) };
  writeFileSync(file, JSON.stringify({ ...manifest, ...own, overrides: archives }, null, 2));
}

describe("a service of another repository, on the packages that it installs,", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "protoloom-greeter-"));
    cpSync(join(root, "examples/greeter"), folder, {
      recursive: true,
      filter: (source) => !/\/(?:node_modules|dist|gen)$/.test(source),
    });
    writeManifest(await pack());
    await runThere("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error");
  }, 90_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("finds JavaScript and types, and no TypeScript that Node would refuse", () => {
    const files = globSync("node_modules/@protoloom/*/**/*.{ts,js}", { cwd: folder });
    expect(files.filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))).toEqual([]);
    expect(files.filter((file) => /\.test\.|\/test-[^/]+\//.test(file))).toEqual([]);
    const names = new Set(files.map((file) => file.split("/")[2] ?? ""));
    expect([...names].toSorted()).toEqual(["cli", "edge", "mesh", "protoc-gen-protoloom", "protos", "registry", "testing"]);
  });

  test("imports every entry of what it installs, at run time and as types", async () => {
    const entries = globSync("node_modules/@protoloom/*/package.json", { cwd: folder }).flatMap((file) => {
      const { name, exports } = JSON.parse(readFileSync(join(folder, file), "utf8")) as { name: string; exports: object };
      return Object.keys(exports).map((key) => join(name, key));
    });
    const protos = globSync("node_modules/@protoloom/protos/dist/**/*.js", { cwd: folder }).map((file) =>
      file.replace("node_modules/", "").replace("/dist/", "/").replace(".js", ""),
    );
    const modules = [...entries.filter((entry) => !/package\.json$|\*/.test(entry)), ...protos].toSorted();
    expect(modules).toContain("@protoloom/mesh/data");
    expect(modules).toContain("@protoloom/protos/protoloom/v1/policy_pb");
    const lines = modules.map((module, index) => `export * as entry${index} from "${module}";\n`);
    writeFileSync(join(folder, "entries.ts"), lines.join(""));
    const language = ["--target", "es2024", "--lib", "es2024,esnext.disposable", "--module", "nodenext", "--types", "node"];
    const strict = ["--strict", "--skipLibCheck", "false", "--ignoreConfig"];
    expect(await runThere("tsc", ...language, ...strict, "entries.ts")).toBe("");
    expect(await runThere(process.execPath, "entries.js")).toBe("");
  });

  test("generates its handles from its contract, with our policy options", async () => {
    expect(await runThere("buf", "lint")).toBe("");
    await runThere("npm", "run", "generate");
    const handles = readFileSync(join(folder, "src/gen/index.ts"), "utf8");
    expect(handles).toContain("export const GreeterService: {");
  });

  test("compiles, types of all libraries included", async () => {
    expect(await runThere("tsc", "-p", ".", "--skipLibCheck", "false")).toBe("");
  });

  test("passes its own tests: it registers, is called by a client and by JSON, and drains", async () => {
    expect(await runThere("npm", "test")).toMatch(/^(?:#|ℹ) pass 6$/m);
  });
});
