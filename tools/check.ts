/**
 * `npm run check [-- --fix] [-- name...]`: every check of this repository that runs no code of it, by default all of
 * them. Each prints a line with its time, and what it found if it failed. `--fix` first repairs what can be repaired
 * by a program: formats and fixable lint findings.
 */
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { generate, outputs } from "./generate.ts";
import { breakingArguments, lastRelease } from "./release.ts";

const root = resolve(import.meta.dirname, "..");
const protoModules = ["proto", "test/fixture/proto"];

/** What a check found, one finding a line; nothing when it passed. */
type Findings = string;

interface Check {
  readonly name: string;
  run(): Findings;
  fix?(): void;
}

/** Runs a program of node_modules/.bin. Its output are the findings when it fails. */
function program(command: string, args: readonly string[]): Findings {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 });
  if (error !== undefined) return `${command} did not start: ${error.message}`;
  return status === 0 ? "" : `${stdout}${stderr}`.trim() || `${command} ended with ${status}`;
}

/** The contracts against the last release; see release.ts. */
function breaking(): Findings {
  const last = lastRelease();
  if (last !== undefined) return program("buf", breakingArguments(last));
  console.log("       no contract is released yet, there is nothing to compare with");
  return "";
}

/** Generates into a scratch folder, and names the files that differ from the committed ones. */
function generated(): Findings {
  const scratch = mkdtempSync(join(tmpdir(), "protoloom-generated-"));
  try {
    generate(scratch);
    return outputs.flatMap(({ out }) => differences(join(scratch, out), join(root, out), out)).join("\n");
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function differences(expected: string, actual: string, label: string): string[] {
  const list = (folder: string): string[] =>
    globSync("**", { cwd: folder, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  const wanted = new Set(list(expected));
  const found = new Set(list(actual));
  return [
    ...[...wanted].filter((file) => !found.has(file)).map((file) => `${label}/${file} is missing: npm run generate`),
    ...[...found].filter((file) => !wanted.has(file)).map((file) => `${label}/${file} is not generated: remove it`),
    ...[...wanted]
      .filter((file) => found.has(file) && !readFileSync(join(expected, file)).equals(readFileSync(join(actual, file))))
      .map((file) => `${label}/${file} is not what its proto says: npm run generate`),
  ].toSorted();
}

const checks: readonly Check[] = [
  { name: "buf lint", run: () => program("buf", ["lint"]) },
  {
    name: "buf format",
    run: () => protoModules.map((module) => program("buf", ["format", "-d", "--exit-code", module])).join(""),
    fix: () => protoModules.forEach((module) => program("buf", ["format", "-w", module])),
  },
  { name: "buf breaking", run: breaking },
  { name: "generated code", run: generated },
  { name: "format", run: () => program("oxfmt", ["--check"]), fix: () => program("oxfmt", ["--write"]) },
  { name: "lint", run: () => program("oxlint", ["--deny-warnings"]), fix: () => program("oxlint", ["--fix"]) },
  { name: "types", run: () => program("tsc", ["-p", "."]) },
];

const args = process.argv.slice(2);
const names = args.filter((arg) => arg !== "--fix");
const unknown = names.filter((name) => !checks.some((check) => check.name === name));
if (unknown.length > 0)
  throw new Error(`no check is called ${unknown.join(", ")}, there are: ${checks.map(({ name }) => name).join(", ")}`);

const failed: string[] = [];
const wanted = checks.filter(({ name }) => names.length === 0 || names.includes(name));
for (const { name, run, fix } of wanted) {
  if (args.includes("--fix")) fix?.();
  const started = performance.now();
  const findings = run();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${findings === "" ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
  if (findings === "") continue;
  failed.push(name);
  console.log(findings.replaceAll(/^/gm, "       "));
}
const passed = wanted.map(({ name }) => name).filter((name) => !failed.includes(name));
mkdirSync(join(root, ".cache"), { recursive: true });
writeFileSync(join(root, ".cache/check.json"), JSON.stringify({ passed, failed }));
console.log(`checks: ${passed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
