/** docs/operations.md against the code: its log lines and metrics exist, and no metric is missing. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { registryTroubles } from "../faults/registry-faults.ts";
import { rows } from "../faults/rows.ts";
import { subjects } from "../faults/subjects.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/operations.md"), "utf8");
const sources = globSync("{packages,services}/*/src/**/*.ts", { cwd: root, exclude: ["**/*.test.ts"] })
  .map((path) => readFileSync(join(root, path), "utf8"))
  .join("\n");

/** The cells of the table that begins with a header. */
function table(header: string): readonly (readonly string[])[] {
  const [, rest = ""] = page.split(`\n| ${header} |`, 2);
  const lines = rest.split("\n").slice(2);
  return lines.slice(0, lines.indexOf("")).map((line) => line.split("|").map((cell) => cell.trim()));
}

test("every log line that it names is one of the code", () => {
  const named = table("log line | level | what it tells").map(([, text = ""]) => text.replaceAll("`", ""));
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((text) => !sources.includes(text))).toEqual([]);
});

test("every metric of the code is named, and no other", () => {
  const inCode = new Set([...sources.matchAll(/meter\s*\.(?:count|gauge|record)\(\s*"(mesh_[a-z_]+)"/g)].map(([, name]) => name));
  const named = new Set([...page.matchAll(/`(mesh_[a-z_]+)`/g)].map(([, name]) => name));
  expect(named).toEqual(inCode);
});

test("the matrix has a line for each fault of each service and registry, and each fault of the registry", () => {
  const measured = table("service, registry | fault | calls | failed | p50 / p99 / max of the others, ms | figures");
  expect(measured.map(([, subject, fault]) => [subject, fault])).toEqual(
    subjects.flatMap(({ name }) => rows.map((row) => [name, row.name])),
  );
  const troubles = table("a registry | calls | failed | requests a second | seen after it healed, s | CPU of a core");
  expect(troubles.map(([, name]) => name)).toEqual(registryTroubles.map(({ name }) => name));
});
