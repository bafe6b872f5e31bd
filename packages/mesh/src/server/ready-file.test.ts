import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { writeReadyFile } from "./ready-file.ts";

test("the ready file appears whole, and nothing stays beside it", () => {
  const folder = mkdtempSync(join(tmpdir(), "ready-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "ready.json");
  writeFileSync(path, "of an earlier process");
  writeReadyFile(path, { address: "127.0.0.1:1" });
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ address: "127.0.0.1:1" });
  expect(readdirSync(folder)).toEqual(["ready.json"]);
});

test("without a path nothing is written", () => {
  expect(() => writeReadyFile(undefined, {})).not.toThrow();
});

test("a path that cannot be written is an error", () => {
  expect(() => writeReadyFile("/nowhere/at/all/ready.json", {})).toThrow(/ENOENT/);
});
