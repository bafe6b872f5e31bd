import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { createSnapshotSpool } from "./snapshot-spool.ts";

const limits = { memoryBytes: 1_000, blockBytes: 100 } as never;

async function readAll(rows: AsyncIterable<Uint8Array>): Promise<readonly string[]> {
  const texts: string[] = [];
  for await (const row of rows) texts.push(Buffer.from(row).toString());
  return texts;
}

test.each([
  ["nothing", []],
  ["a few rows", ["a", "", "b"]],
  ["what fits in memory", Array.from({ length: 50 }, (_, index) => `row ${index}`)],
  ["what needs a file", Array.from({ length: 5_000 }, (_, index) => `row ${index} ${"x".repeat(index % 90)}`)],
  ["rows longer than a block, and than the memory", ["x".repeat(3_000), "y", "z".repeat(500)]],
])("%s is read back in its order", async (_, rows) => {
  await using spool = createSnapshotSpool(limits);
  for (const row of rows) await spool.add(Buffer.from(row));
  expect(await readAll(spool.rows())).toEqual(rows);
});

test("its file has no name, and a reader who leaves early leaves nothing", async () => {
  const spool = createSnapshotSpool(limits);
  for (let index = 0; index < 1_000; index++) await spool.add(Buffer.from(`row ${index}`));
  const rows = spool.rows();
  await rows.next();
  expect(readdirSync(tmpdir()).filter((name) => name.startsWith("protoloom-snapshot-"))).toEqual([]);
  await rows.return(undefined);
  await spool[Symbol.asyncDispose]();
});
