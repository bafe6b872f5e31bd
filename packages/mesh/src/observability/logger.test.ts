import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { createLogger } from "./logger.ts";
import type { LoggerOptions } from "./logger.ts";

function capture(options: Partial<LoggerOptions> = {}): {
  lines: () => Record<string, unknown>[];
  logger: ReturnType<typeof createLogger>;
} {
  const written: string[] = [];
  const logger = createLogger({ name: "test", destination: { write: (line) => void written.push(line) }, ...options });
  return { logger, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe("a line", () => {
  test("is one JSON object with time, level, name and pid", () => {
    const { logger, lines } = capture();
    logger.info({ a: 1, big: 2n ** 60n }, "hello\nworld");
    const [line] = lines();
    expect(line).toMatchObject({ level: "info", name: "test", pid: process.pid, a: 1, msg: "hello\nworld" });
    expect(Math.abs(Date.parse(String(line?.["time"])) - Date.now())).toBeLessThan(5_000);
    expect(line).not.toHaveProperty("hostname");
  });

  test("holds an error with its stack and its cause", () => {
    const { logger, lines } = capture();
    logger.error({ err: new Error("outer", { cause: new TypeError("inner") }) }, "failed");
    const err = lines()[0]?.["err"] as Record<string, string>;
    expect(err["message"]).toContain("outer");
    expect(err["stack"]).toContain("inner");
  });

  test("below the level is not written", () => {
    const { logger, lines } = capture({ level: "warn" });
    logger.debug({}, "no");
    logger.info({}, "no");
    logger.warn({}, "yes");
    logger.child({ a: 1 }).error({}, "yes");
    expect(lines().map(({ msg }) => msg)).toEqual(["yes", "yes"]);
  });
});

describe("a secret", () => {
  test("is never written, however deep and however spelt", () => {
    const { logger, lines } = capture();
    const fields = {
      authorization: "Bearer s3cret",
      headers: { Authorization: "s3cret", "X-Api-Key": "s3cret", accept: "json" },
      list: [{ password: "s3cret" }, { cookie: "s3cret" }],
      user: { name: "ada", credentials: { token: "s3cret" } },
    };
    logger.info(fields, "call");
    logger.child({ headers: { "set-cookie": "s3cret" } }).info({}, "child");
    expect(JSON.stringify(lines())).not.toContain("s3cret");
    expect(lines()[0]).toMatchObject({
      authorization: "[redacted]",
      headers: { Authorization: "[redacted]", accept: "json" },
      list: [{ password: "[redacted]" }, { cookie: "[redacted]" }],
      user: { name: "ada", credentials: { token: "[redacted]" } },
    });
    expect(fields.headers.Authorization).toBe("s3cret");
  });
});

describe("standard output", () => {
  const script = (body: string): string[] => [
    "--input-type=module-typescript",
    "--eval",
    `import { createLogger } from ${JSON.stringify(resolve(import.meta.dirname, "logger.ts"))};
     const logger = createLogger({ name: "child" }); ${body}`,
  ];

  test("has every line of a process that exits at once", async () => {
    const child = spawn(process.execPath, script(`for (let i = 0; i < 1000; i += 1) logger.info({ i }, "x"); process.exit(3);`));
    let text = "";
    child.stdout.on("data", (chunk) => (text += String(chunk)));
    const code = await new Promise((done) => child.once("close", done));
    expect(code).toBe(3);
    expect(text.trim().split("\n")).toHaveLength(1_000);
  });

  test("that nobody reads does not hold the process up", async () => {
    const child = spawn(
      process.execPath,
      script(`const line = "x".repeat(1000); for (let i = 0; i < 20000; i += 1) logger.info({ line }, "x");
        setTimeout(() => { process.stderr.write("alive"); process.kill(process.pid, "SIGKILL"); }, 50);`),
    );
    let text = "";
    child.stderr.on("data", (chunk) => (text += String(chunk)));
    await new Promise((done) => child.once("exit", done));
    child.stdout.destroy();
    expect(text).toBe("alive");
  });

  test("whose reader has gone does not keep a process from its exit, and is flushed at once", async () => {
    const child = spawn(
      process.execPath,
      script(`process.stdin.once("data", async () => {
          for (let i = 0; i < 10; i += 1) logger.info({ i }, "x");
          await logger.flush();
          logger.info({}, "after the end");
          await logger.flush();
          logger.info({}, "at exit");
          process.exit(3);
        }); process.stderr.write("ready");`),
    );
    await new Promise((done) => child.stderr.once("data", done));
    const gone = new Promise((done) => child.stdout.once("close", done));
    child.stdout.destroy();
    await gone;
    child.stdin.write("go");
    expect(await new Promise((done) => child.once("exit", done))).toBe(3);
  }, 5_000);

  test("that is slow gets every line in order", async () => {
    const child = spawn(
      process.execPath,
      script(`const line = "x".repeat(1000); for (let i = 0; i < 2000; i += 1) logger.info({ i, line }, "x");
        setTimeout(() => process.stderr.write("waiting"), 100); await logger.flush(); process.exit(0);`),
    );
    // Nothing is read until the process waits for its reader.
    await new Promise((done) => child.stderr.once("data", done));
    let text = "";
    child.stdout.on("data", (chunk) => (text += String(chunk)));
    await new Promise((done) => child.once("close", done));
    const numbers = text
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { i: number }).i);
    expect(numbers).toEqual(Array.from({ length: 2_000 }, (_, index) => index));
  });
});
