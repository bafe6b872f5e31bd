import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type ProcessSpec, type RunningProcess, consulSpec, findConsulPorts, findPort, launch } from "@protoloom/cli";

/** How a real Consul is run. */
export interface ConsulAgentOptions {
  /** Path of the executable. Default: `consul` from PATH. */
  readonly binary?: string;
  /** Longest wait until it keeps registrations, in ms. Default: 20,000. */
  readonly startTimeoutMs?: number;
}

/** A real Consul, in its development mode: one server that keeps nothing. */
export interface ConsulAgent extends AsyncDisposable {
  /** `host:port` of its HTTP API. */
  readonly address: string;
  /** Ends it at once, without goodbye. */
  stop(): Promise<void>;
  /** Ends it and starts it again on the same ports: it has forgotten everything. */
  restart(): Promise<void>;
}

/** Another process may take a port between the moment it was found free and Consul's start. */
const maxStarts = 3;

/**
 * Starts `consul agent -dev` on free ports of 127.0.0.1, and waits until it answers and leads. It ends with the process that
 * started it, however that ends. Rejects with Consul's own last words when it does not start.
 */
export async function startConsulAgent(options: ConsulAgentOptions = {}): Promise<ConsulAgent> {
  const { binary = "consul", startTimeoutMs = 20_000 } = options;
  for (let attempt = 1; ; attempt++) {
    const reserved = new Set<number>();
    const ports = await findConsulPorts(async () => (await findPort(0, { reserved })).port);
    const spec = consulSpec({ program: binary, ports, env: { PATH: process.env["PATH"] } });
    try {
      let running = await startOnce(spec, startTimeoutMs);
      const stop = async (): Promise<void> => await end(running);
      const restart = async (): Promise<void> => {
        await end(running);
        running = await startOnce(spec, startTimeoutMs);
      };
      return { address: `127.0.0.1:${ports.http}`, stop, restart, [Symbol.asyncDispose]: stop };
    } catch (error) {
      if (attempt === maxStarts || !/address already in use/.test(String(error))) throw error;
    }
  }
}

async function startOnce(spec: ProcessSpec, timeoutMs: number): Promise<RunningProcess> {
  const runDir = mkdtempSync(join(tmpdir(), "consul-agent-"));
  const running = launch(spec, { runDir });
  const inTime = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: inTime.signal }).then(
    () => Promise.reject(new Error(`not ready within ${timeoutMs} ms`)),
    () => undefined, // It was ready, or has ended.
  );
  try {
    await Promise.race([running.ready, late]);
    return running;
  } catch (cause) {
    await end(running);
    throw new Error(`consul did not start: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  } finally {
    inTime.abort();
    rmSync(runDir, { recursive: true, force: true });
  }
}

async function end(running: RunningProcess): Promise<void> {
  running.signal("SIGKILL");
  await running.ended;
}
