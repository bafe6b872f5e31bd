/**
 * The one way in for every npm script: `node tools/bootstrap.mjs <task> [arguments]`. Plain JavaScript without
 * dependencies, for Node 20 and newer. It installs what is missing, and runs the task on the Node that npm pins.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
const minimum = [24, 14];

/** What each task runs, and its first arguments. */
const tasks = {
  start: ["packages/cli/src/main.ts", "up"],
  dev: ["packages/cli/src/main.ts", "up", "--watch"],
  test: ["node_modules/vitest/vitest.mjs", "run"],
  check: ["tools/check.ts"],
  generate: ["tools/generate.ts"],
  bench: ["tools/bench.ts"],
  pack: ["tools/pack.ts"],
  release: ["tools/release.ts"],
};

/** What a task is given when the command says nothing: `npm test` leaves out the minutes of load of test/faults. */
const usual = { test: ["--project", "unit", "--project", "e2e"] };

function fail(line) {
  console.error(`protoloom: ${line}`);
  process.exit(1);
}

/** `npm ci`, unless what is installed belongs to the lock file of this moment. */
function install() {
  const lock = join(root, "package-lock.json");
  const stamp = join(modules, ".protoloom");
  const hash = createHash("sha256").update(readFileSync(lock)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
  // npm writes this file last: somebody has installed by hand since the lock file changed.
  const installed = join(modules, ".package-lock.json");
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    console.error("protoloom: installing the npm packages of package-lock.json");
    const npm = process.env.npm_execpath?.endsWith(".js") ? [process.execPath, process.env.npm_execpath] : ["npm"];
    const options = ["ci", "--include=dev", "--include=optional", "--loglevel=error", "--no-audit", "--no-fund"];
    const { status, error } = spawnSync(npm[0], [...npm.slice(1), ...options], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
    });
    if (status !== 0) fail(`npm ci failed${error === undefined ? "" : `: ${error.message}`}`);
  }
  writeFileSync(stamp, hash);
}

/** The Node that npm pins for this machine, or the one that runs this file if it is new enough. */
function findNode() {
  const pinned = join(modules, `node-${process.platform}-${process.arch}`, "bin/node");
  if (existsSync(pinned)) return pinned;
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > minimum[0] || (major === minimum[0] && minor >= minimum[1])) return process.execPath;
  return fail(
    `Node ${minimum.join(".")} or newer is needed on ${process.platform} ${process.arch}, this is ${process.versions.node}`,
  );
}

/**
 * Runs a script until it ends. It has a session of its own, so that Ctrl-C reaches it once, through us, and not a
 * second time from the terminal; should we be killed, it gets SIGTERM by end-with-parent.mjs.
 */
function run(node, args) {
  const cache = join(root, ".cache/node");
  mkdirSync(cache, { recursive: true });
  const child = spawn(node, ["--import", pathToFileURL(join(root, "tools/end-with-parent.mjs")).href, ...args], {
    cwd: root,
    detached: true,
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    env: {
      ...process.env,
      PATH: [join(modules, ".bin"), process.env.PATH].filter(Boolean).join(delimiter),
      NODE_COMPILE_CACHE: cache,
      PROTOLOOM_PARENT_FD: "3",
    },
  });
  let last = { signal: "", atMs: 0 };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      // npm forwards the signal that the terminal has sent to us too: one of them is enough.
      if (last.signal === signal && performance.now() - last.atMs < 250) return;
      last = { signal, atMs: performance.now() };
      child.kill(signal);
    });
  }
  // npm killed cannot tell us. A shell that goes may leave us behind on purpose; npm never does.
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event !== undefined) {
    setInterval(() => process.ppid === parent || child.kill("SIGTERM"), 1000).unref();
  }
  child.once("error", (error) => fail(`${node} did not start: ${error.message}`));
  child.once("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

const [task, ...args] = process.argv.slice(2);
if (!Object.hasOwn(tasks, task ?? "")) fail(`usage: node tools/bootstrap.mjs ${Object.keys(tasks).join("|")} [arguments]`);
install();
run(findNode(), [...tasks[task], ...(args.length > 0 ? args : (usual[task] ?? []))]);
