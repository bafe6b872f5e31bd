/**
 * Runs the kill matrix and the registry's faults with their full durations, about eleven minutes, and prints the two tables
 * that docs/operations.md holds:
 *
 *   node test/faults/matrix.ts [--quick] [--only fixture] [--write]
 *
 * `--quick` takes the durations of the test suite, `--only` the lines with that text in their first column, and `--write`
 * puts the tables into docs/operations.md. It exits with 1 when a line is not as it has to be.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startMesh } from "@protoloom/testing";
import { startPostgres } from "../../tools/postgres.ts";
import { fixture } from "../e2e/stack.ts";
import { type RegistryTrouble, type TroubleReport, judgeTrouble, registryTroubles, runTrouble } from "./registry-faults.ts";
import { startRig } from "./rig.ts";
import { type RowReport, type RowTimes, rows } from "./rows.ts";
import { subjects } from "./subjects.ts";

const root = resolve(import.meta.dirname, "../..");
const document = join(root, "docs/operations.md");

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    write: { type: "boolean", default: false },
  },
});
/** Full durations are those of processes with their defaults. */
const times: RowTimes = values.quick ? { stoppedMs: 3_000, awayMs: 6_000 } : { stoppedMs: 10_000, awayMs: 60_000 };
const env: Readonly<Record<string, string>> = values.quick ? { MESH_DRAIN_TIMEOUT_MS: "1500", MESH_DRAIN_NOTICE_MS: "500" } : {};
const trouble = values.quick ? { lastsMs: 3_000, waitMs: 1_000 } : { lastsMs: 10_000, waitMs: 10_000 };

const matrix = [
  "| service, registry | fault | calls | failed | p50 / p99 / max of the others, ms | figures |",
  "|---|---|---|---|---|---|",
];
const troubles = [
  "| a registry | calls | failed | requests a second | seen after it healed, s | CPU of a core |",
  "|---|---|---|---|---|---|",
];

function toMatrixLine(subject: string, { row, load, figures }: RowReport): string {
  const codes = Object.entries(load.codes).map(([code, count]) => `${count} ${code}`);
  const failed = codes.length === 0 ? "0" : codes.join(", ");
  const ms = [load.p50Ms, load.p99Ms, load.maxMs].map((value) => Math.round(value)).join(" / ");
  return `| ${subject} | ${row} | ${load.records.length} | ${failed} | ${ms} | ${figures} |`;
}

function toTroubleLine({ name }: RegistryTrouble, { calls, failed, requests, lastedMs, seenMs, cpu }: TroubleReport): string {
  const rate = (requests / (lastedMs / 1_000)).toFixed(1);
  const shares = `${cpu.before.toFixed(2)} before, ${cpu.during.toFixed(2)} during`;
  return `| ${name} | ${calls} | ${failed} | ${rate} | ${(seenMs / 1_000).toFixed(2)} | ${shares} |`;
}

function report(table: string[], line: string, problems: readonly string[]): void {
  table.push(line);
  console.log(line);
  for (const problem of problems) console.log(`  NOT AS IT HAS TO BE: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
}

async function runMatrix(): Promise<void> {
  console.log(`\n${matrix.join("\n")}`);
  for (const subject of subjects.filter(({ name }) => name.includes(values.only))) {
    await using rig = await startRig(subject, env);
    for (const row of rows) {
      await rig.whole();
      const found = await row.run(rig, times);
      report(matrix, toMatrixLine(subject.name, found), found.problems);
    }
  }
}

async function runTroubles(): Promise<void> {
  console.log(`\n${troubles.join("\n")}`);
  const services = [{ ...fixture, instances: 3 }];
  await using mesh = await startMesh({ edge: false, services, env: { MESH_LOG_LEVEL: "warn" } });
  const addresses = mesh.instances("fixture").map(({ address }) => address);
  for (const one of registryTroubles.filter(({ name }) => name.includes(values.only))) {
    const found = await runTrouble(one, addresses, trouble);
    report(troubles, toTroubleLine(one, found), judgeTrouble(one, found, trouble.waitMs));
  }
}

/** Puts a table between the marks of its name. */
function withTable(text: string, name: string, table: readonly string[]): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${document} has no place for ${name}`);
  return `${text.slice(0, from + begin.length)}\n\n${table.join("\n")}\n\n${text.slice(to)}`;
}

process.env["PATH"] = [join(root, "node_modules/.bin"), join(root, ".tools/bin"), process.env["PATH"]].join(delimiter);
await using postgres = await startPostgres();
process.env["TEST_DATABASE_URL"] = postgres.url;
await runMatrix();
await runTroubles();
if (values.write) {
  const text = readFileSync(document, "utf8");
  writeFileSync(document, withTable(withTable(text, "kill matrix", matrix), "registry faults", troubles));
}
