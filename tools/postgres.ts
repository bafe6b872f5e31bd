/**
 * A throw-away PostgreSQL server for tests. `node tools/postgres.ts -- command...` runs a command beside one, with
 * TEST_DATABASE_URL set.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** Where PostgreSQL's programs are. */
export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
}

/** A running server on a port of 127.0.0.1 that was free. Disposing it stops it and removes its folder. */
export interface PostgresServer extends AsyncDisposable {
  /** `postgres://` URL of the superuser, with no password. */
  readonly url: string;
  /** The process id of the postmaster; another one after `restart`. */
  readonly pid: number;
  /** Stops it, also after somebody killed it, and starts it on the same data and port. */
  restart(): Promise<void>;
  /** Ends all connections, stops it and removes its data. A second call does nothing. */
  stop(): Promise<void>;
}

/** How long PostgreSQL may take to be ready. */
const readyTimeoutMs = 30_000;

/**
 * The server runs below a shell that ends with us, however we end: its `read` fails when the pipe closes. It prints
 * the postmaster's process id at each start. SIGINT is PostgreSQL's fast shutdown.
 */
const supervisor = `
folder=$1 postgres=$2; shift 2
start() { "$postgres" -D "$folder/data" "$@" >>"$folder/log" 2>&1 & pid=$!; echo "$pid"; }
stop() { kill -INT "$pid" 2>/dev/null; wait "$pid"; }
start "$@"
while read -r _; do stop; start "$@"; done
stop
rm -rf "$folder"
`;

/** Finds PostgreSQL on PATH, or where Debian keeps it (the newest version), or undefined. */
export function findPostgres(): PostgresPrograms | undefined {
  const debian = globSync("/usr/lib/postgresql/*/bin").toSorted((a, b) => b.localeCompare(a, "en", { numeric: true }));
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter).filter(Boolean), ...debian]) {
    const found = { initdb: join(folder, "initdb"), postgres: join(folder, "postgres") };
    if (existsSync(found.initdb) && existsSync(found.postgres)) return found;
  }
  return undefined;
}

/** PostgreSQL refuses to run as root: the `postgres` user of the system then, or `nobody`. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync("/etc/passwd", "utf8");
  const [, uid, gid] = /^postgres:[^:]*:(\d+):(\d+):/m.exec(users) ?? /^nobody:[^:]*:(\d+):(\d+):/m.exec(users) ?? [];
  return { uid: Number(uid ?? 65534), gid: Number(gid ?? 65534) };
}

async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === "string") throw new Error("no port of 127.0.0.1 is free");
  return address.port;
}

/**
 * Starts a server in a temporary folder. Nothing is flushed to disk, connections need no password, and text sorts by
 * the rules of American English, as on most servers: a query that needs the order of bytes has to say so.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const programs = findPostgres();
  if (programs === undefined)
    throw new Error("PostgreSQL is not installed: no initdb beside postgres on PATH or in /usr/lib/postgresql");
  const user = unprivileged();
  const folder = mkdtempSync(join(tmpdir(), "protoloom-postgres-"));
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, "data");
  try {
    const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"];
    execFileSync(programs.initdb, ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions", ...locale], {
      ...user,
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (cause) {
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`initdb in ${folder} failed`, { cause });
  }
  const port = await freePort();
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    max_connections: 200,
    fsync: "off",
    full_page_writes: "off",
  };
  const flags = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
  const shell = spawn("/bin/sh", ["-c", supervisor, "sh", folder, programs.postgres, ...flags], {
    ...user,
    cwd: folder,
    detached: true, // Ctrl-C in a terminal reaches us alone; the shell ends after us, and removes the folder.
    stdio: ["pipe", "pipe", "ignore"],
  });
  return await serverOf(shell, folder, `postgres://postgres@127.0.0.1:${port}/postgres`);
}

async function serverOf(shell: ChildProcess, folder: string, url: string): Promise<PostgresServer> {
  const { stdin, stdout } = shell;
  if (stdin === null || stdout === null) throw new Error("the shell has no pipes");
  stdin.on("error", () => undefined); // The shell is gone: `exited` says so.
  const exited = new Promise<void>((resolve) => shell.once("exit", () => resolve()));
  const pids = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const stop = async (): Promise<void> => {
    stdin.end();
    await exited;
  };

  let pid = 0;
  try {
    pid = await ready(pids, folder);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    get pid(): number {
      return pid;
    },
    async restart(): Promise<void> {
      stdin.write("restart\n");
      pid = await ready(pids, folder);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Waits until the postmaster that the shell names has written `ready` into its pid file, as pg_ctl does. */
async function ready(pids: AsyncIterator<string>, folder: string): Promise<number> {
  const { value } = await pids.next();
  const pid = Number(value);
  const file = join(folder, "data/postmaster.pid");
  const deadline = performance.now() + readyTimeoutMs;
  while (performance.now() < deadline) {
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
    if (lines[0] === String(pid) && lines[7]?.trim() === "ready") return pid;
    await sleep(20);
  }
  const log = readFileSync(join(folder, "log"), "utf8");
  throw new Error(`PostgreSQL was not ready within ${readyTimeoutMs} ms: ${log.slice(-2000)}`);
}

if (import.meta.main) {
  const [command, ...args] = process.argv.slice(process.argv[2] === "--" ? 3 : 2);
  if (command === undefined) throw new Error("usage: node tools/postgres.ts -- command...");
  await using server = await startPostgres();
  const child = spawn(command, args, { stdio: "inherit", env: { ...process.env, TEST_DATABASE_URL: server.url } });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject).once("exit", (code) => resolve(code ?? 1));
  });
}
