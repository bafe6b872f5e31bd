import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchSources } from "./watch-sources.ts";

let folder: string;
let stop: AbortController;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "protoloom-watch-"));
  mkdirSync(join(folder, "deep"));
  stop = new AbortController();
});

afterEach(() => {
  stop.abort();
  rmSync(folder, { recursive: true, force: true });
});

test("several writes count as one change, in folders below too", async () => {
  let changes = 0;
  watchSources([folder], () => (changes += 1), stop.signal);
  for (const name of ["a.ts", "b.ts", "deep/c.ts"]) writeFileSync(join(folder, name), "");
  await vi.waitFor(() => expect(changes).toBe(1), { timeout: 5_000 });
  writeFileSync(join(folder, "deep/c.ts"), "1");
  await vi.waitFor(() => expect(changes).toBe(2), { timeout: 5_000 });
});

test("tests and other files are no sources", async () => {
  const changes: string[] = [];
  watchSources([folder], () => changes.push("change"), stop.signal);
  for (const name of ["a.test.ts", "notes.md"]) writeFileSync(join(folder, name), "");
  // The change after them is the first that is told of.
  writeFileSync(join(folder, "a.ts"), "");
  await vi.waitFor(() => expect(changes).toEqual(["change"]), { timeout: 5_000 });
});

test("after the abort nothing is told", async () => {
  let changes = 0;
  watchSources([folder], () => (changes += 1), stop.signal);
  writeFileSync(join(folder, "a.ts"), "");
  stop.abort();
  const other = new AbortController();
  let seen = 0;
  watchSources([folder], () => (seen += 1), other.signal);
  writeFileSync(join(folder, "b.ts"), "");
  await vi.waitFor(() => expect(seen).toBe(1), { timeout: 5_000 });
  other.abort();
  expect(changes).toBe(0);
});
