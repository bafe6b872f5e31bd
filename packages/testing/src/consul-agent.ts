import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { findPort } from "@protoloom/cli";

/** How a real Consul is run. */
export interface ConsulAgentOptions {
  /** Path of the executable. Default: `consul` from PATH. */
  readonly binary?: string;
  /** Longest wait until it has a leader, in ms. Default: 20,000. */
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

const host = "127.0.0.1";
/** Another process may take a port between the moment it was found free and Consul's start. */
const maxStarts = 3;

/**
 * Starts `consul agent -dev` on free ports of 127.0.0.1, and waits until it answers and leads. It ends with the process that
 * started it, however that ends. Rejects with Consul's own last words when it does not start.
 */
export async function startConsulAgent(options: ConsulAgentOptions = {}): Promise<ConsulAgent> {
  const { binary = "consul", startTimeoutMs = 20_000 } = options;
  for (let attempt = 1; ; attempt++) {
    const ports = await freePorts(5);
    const address = `${host}:${ports[0]}`;
    try {
      let running = await startOnce(binary, ports, startTimeoutMs);
      const stop = async (): Promise<void> => await running.stop();
      const restart = async (): Promise<void> => {
        await running.stop();
        running = await startOnce(binary, ports, startTimeoutMs);
      };
      return { address, stop, restart, [Symbol.asyncDispose]: stop };
    } catch (error) {
      if (attempt === maxStarts || !/address already in use/.test(String(error))) throw error;
    }
  }
}

/**
 * The shell ends Consul when its own standard input ends, which is what the death of this process looks like; and it ends when
 * Consul does.
 */
const guard = `exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ cat <&3 >/dev/null; kill -9 $child; } 2>/dev/null &
wait $child`;

async function startOnce(binary: string, ports: readonly number[], timeoutMs: number): Promise<{ stop(): Promise<void> }> {
  const child = spawn("sh", ["-c", guard, "sh", binary, ...agentArguments(ports)], { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString("utf8")).slice(-4_096);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  // The guard may be gone before its input is closed.
  child.stdin.on("error", () => {});
  const ended = once(child, "exit");
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  try {
    await untilLeading(child, `http://${host}:${ports[0]}`, timeoutMs);
  } catch (error) {
    await stop();
    throw new Error(`consul did not start: ${output.trim()}`, { cause: error });
  }
  return { stop };
}

function agentArguments([http, grpc, server, serfLan, serfWan]: readonly number[]): readonly string[] {
  const ports = { http, grpc, "grpc-tls": -1, server, "serf-lan": serfLan, "serf-wan": serfWan, dns: -1 };
  const portArguments = Object.entries(ports).flatMap(([name, port]) => [`-${name}-port`, String(port)]);
  // Hundreds of waiting readers of one test come from one address.
  const hcl = ["-hcl", "limits { http_max_conns_per_client = 4096 }"];
  return ["agent", "-dev", "-bind", host, "-client", host, "-node", "consul-test", ...portArguments, ...hcl];
}

async function untilLeading(child: ChildProcess, url: string, timeoutMs: number): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (performance.now() < endMs) {
    if (child.exitCode !== null) throw new Error(`exit code ${child.exitCode}`);
    if (await isLeading(url)) return;
    await delay(50);
  }
  throw new Error(`no leader within ${timeoutMs} ms`);
}

/** The catalog knows the agent's own node a moment after a leader is elected: only then registrations are kept. */
async function isLeading(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/v1/health/service/consul?passing`);
    return answer.ok && ((await answer.json()) as unknown[]).length > 0;
  } catch {
    return false; // Not listening yet.
  }
}

/** Ports that are free at this moment, all different. */
async function freePorts(count: number): Promise<readonly number[]> {
  const reserved = new Set<number>();
  while (reserved.size < count) await findPort(0, { host, reserved });
  return [...reserved];
}
