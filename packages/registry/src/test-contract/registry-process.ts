import { eventually } from "@protoloom/testing";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A registry in a process of its own. */
export interface RegistryProcess extends AsyncDisposable {
  /** `host:port` from its ready file. */
  readonly address: string;
  /** Sends a signal, and resolves to how it ended: its exit code, or the signal's name. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

/** How a process ended that was left to itself. */
export interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const main = join(import.meta.dirname, "../main.ts");

/** A folder that goes with its scope. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "registry-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Starts `main.ts` and waits until it is ready. */
export async function startRegistryProcess(settings: Readonly<Record<string, string>> = {}): Promise<RegistryProcess> {
  const folder = temporaryFolder();
  const readyFile = join(folder.path, "ready.json");
  const child = spawn(process.execPath, [main], {
    env: { MESH_REGISTRY_PORT: "0", MESH_READY_FILE: readyFile, MESH_LOG_LEVEL: "warn", ...settings },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const ended = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  const end = async (signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> => {
    child.kill(signal);
    const [code, killedBy] = await ended;
    folder[Symbol.dispose]();
    return code ?? killedBy;
  };
  const starting = eventually(() => JSON.parse(readFileSync(readyFile, "utf8")) as { address: string }, { timeoutMs: 15_000 });
  const failing = ended.then(([code]) => Promise.reject(new Error(`the registry ended with ${code} before it was ready`)));
  // Once it is ready, how it ends is for `end` to say.
  failing.catch(() => {});
  starting.catch(() => {});
  const ready = await Promise.race([starting, failing]);
  return { address: ready.address, end, [Symbol.asyncDispose]: async () => void (await end("SIGKILL")) };
}

/** Runs `main.ts` until it ends by itself. */
export async function runRegistryProcess(settings: Readonly<Record<string, string>>): Promise<Ending> {
  const child = spawn(process.execPath, [main], { env: settings, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("utf8")));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("utf8")));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}
