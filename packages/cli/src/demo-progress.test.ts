import { expect, test } from "vitest";
import { type Progress, createProgress } from "./demo-progress.ts";

function record(terminal: boolean): { progress: Progress; take: () => string } {
  let text = "";
  const progress = createProgress({ terminal, write: (piece) => (text += piece) });
  const take = (): string => {
    const taken = text;
    text = "";
    return taken;
  };
  return { progress, take };
}

const erase = "\r\u001B[2K";

test("a terminal has one bar, drawn again in its place, and no trace of it at the end", () => {
  const { progress, take } = record(true);
  progress.report("products", 0, 1_000);
  expect(take()).toBe(`  ${"░".repeat(30)}  0 of 1,000 products`);
  progress.report("products", 500, 1_000);
  expect(take()).toBe(`${erase}  ${"█".repeat(15)}${"░".repeat(15)}  500 of 1,000 products`);
  progress.end();
  expect(take()).toBe(erase);
  progress.end();
  expect(take()).toBe("");
});

test("lines of others stand above the bar, whole", () => {
  const { progress, take } = record(true);
  progress.write("before\n");
  expect(take()).toBe("before\n");
  progress.report("users", 200, 200);
  const bar = take();
  progress.write("user | a warning\n");
  expect(take()).toBe(`${erase}user | a warning\n${bar}`);
});

test("elsewhere there is a plain line at every quarter of a part", () => {
  const { progress, take } = record(false);
  for (let done = 0; done <= 200; done += 10) progress.report("users", done, 200);
  progress.report("products", 1_000, 1_000);
  progress.write("a line\n");
  progress.end();
  expect(take().split("\n")).toEqual([
    ...[50, 100, 150, 200].map((done) => `protoloom: demo data: ${done} of 200 users`),
    "protoloom: demo data: 1,000 of 1,000 products",
    "a line",
    "",
  ]);
});
