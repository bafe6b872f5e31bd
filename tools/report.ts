/**
 * The last step of `.ci/run`: `node tools/report.ts <exit codes of check, of the tests, of the fault suites>` counts what
 * `.cache/check.json`, `vitest.json` and `faults.json` say, names what failed, and prints `N passed, N failed`. A skipped
 * test has failed: .ci/run provides every part that tests need.
 */
import { existsSync, readFileSync } from "node:fs";
import { relative, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");

/** What `tools/check.ts` writes: the names of the checks. */
export interface CheckReport {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
}

/** The part of vitest's JSON report that counts. */
export interface TestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** Everything that ran: how many passed, and what did not, one line each. */
export interface Total {
  readonly passed: number;
  readonly failures: readonly string[];
}

/** Counts the checks. A check that ends badly without naming one has failed as a whole. */
export function countChecks(report: CheckReport | undefined, exitCode: number): Total {
  const failures = (report?.failed ?? []).map((name) => `check failed: ${name}`);
  if (exitCode !== 0 && failures.length === 0) failures.push(`npm run check ended with ${exitCode}`);
  return { passed: report?.passed.length ?? 0, failures };
}

/** Counts the tests. A file that could not be loaded has failed, and so have a skipped test and an error outside of any. */
export function countTests(report: TestReport | undefined, exitCode: number): Total {
  const failures: string[] = [];
  let passed = 0;
  for (const { name, status, assertionResults } of report?.testResults ?? []) {
    const file = relative(root, name);
    const bad = assertionResults.filter((result) => result.status !== "passed");
    passed += assertionResults.length - bad.length;
    failures.push(
      ...bad.map((result) => `test ${result.status === "failed" ? "failed" : "skipped"}: ${file}: ${result.fullName}`),
    );
    if (status === "failed" && bad.length === 0) failures.push(`test file failed: ${file}`);
  }
  if (exitCode !== 0 && failures.length === 0) failures.push(`npm test ended with ${exitCode}`);
  if (passed === 0 && failures.length === 0) failures.push("npm test ran no test");
  return { passed, failures };
}

function read<T>(file: string): T | undefined {
  const path = resolve(root, ".cache", file);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as T) : undefined;
}

if (import.meta.main) {
  const [check, test, faults] = process.argv.slice(2).map(Number);
  const totals = [
    countChecks(read("check.json"), check ?? 1),
    countTests(read("vitest.json"), test ?? 1),
    countTests(read("faults.json"), faults ?? 1),
  ];
  const failures = totals.flatMap((total) => total.failures);
  for (const failure of failures) console.log(failure);
  console.log(`${totals.reduce((sum, total) => sum + total.passed, 0)} passed, ${failures.length} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
