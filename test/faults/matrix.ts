/**
 * Runs the kill matrix with its full durations and prints it as a table, which docs/operations.md holds:
 *
 *   node test/faults/matrix.ts [--quick] [--only fixture] [--write]
 *
 * `--quick` takes the durations of the test suite, `--only` the subjects with that text in their name, and `--write` puts
 * the table into docs/operations.md. It exits with 1 when a row is not as it has to be.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startPostgres } from "../../tools/postgres.ts";
import { callsPerSecond, instanceCount, startRig } from "./rig.ts";
import { type RowReport, type RowTimes, rows } from "./rows.ts";
import { subjects } from "./subjects.ts";

const root = resolve(import.meta.dirname, "../..");
const document = join(root, "docs/operations.md");
const marks = { begin: "<!-- kill matrix -->", end: "<!-- end of the kill matrix -->" } as const;

/** Full durations: with the defaults of every process. */
const full: RowTimes = { stoppedMs: 10_000, awayMs: 60_000 };
const quick: RowTimes = { stoppedMs: 3_000, awayMs: 6_000 };
const quickEnv = { MESH_DRAIN_TIMEOUT_MS: "1500", MESH_DRAIN_NOTICE_MS: "500" };

function toLine(subject: string, { row, load, figures }: RowReport): string {
  const codes = Object.entries(load.codes).map(([code, count]) => `${count} ${code}`);
  const failed = codes.length === 0 ? "0" : codes.join(", ");
  const ms = [load.p50Ms, load.p99Ms, load.maxMs].map((value) => Math.round(value)).join(" / ");
  return `| ${subject} | ${row} | ${load.records.length} | ${failed} | ${ms} | ${figures} |`;
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    write: { type: "boolean", default: false },
  },
});
process.env["PATH"] = [join(root, "node_modules/.bin"), join(root, ".tools/bin"), process.env["PATH"]].join(delimiter);
await using postgres = await startPostgres();
process.env["TEST_DATABASE_URL"] = postgres.url;

const lines = [
  "| service, registry | fault | calls | failed | p50 / p99 / max of the others, ms | figures |",
  "|---|---|---|---|---|---|",
];
console.log(`${callsPerSecond} calls a second to ${instanceCount} instances\n\n${lines.join("\n")}`);
for (const subject of subjects.filter(({ name }) => name.includes(values.only))) {
  await using rig = await startRig(subject, values.quick ? quickEnv : {});
  for (const row of rows) {
    await rig.whole();
    const report = await row.run(rig, values.quick ? quick : full);
    const line = toLine(subject.name, report);
    lines.push(line);
    console.log(line);
    for (const problem of report.problems) {
      console.log(`  NOT AS IT HAS TO BE: ${problem}`);
      process.exitCode = 1;
    }
  }
}
if (values.write) {
  const text = readFileSync(document, "utf8");
  const [from, to] = [text.indexOf(marks.begin), text.indexOf(marks.end)];
  if (from < 0 || to < from) throw new Error(`${document} has no place for the matrix`);
  writeFileSync(document, `${text.slice(0, from + marks.begin.length)}\n\n${lines.join("\n")}\n\n${text.slice(to)}`);
}
