import type { Environment } from "@protoloom/mesh";
import type { ProcessSpec, ReadyReport } from "./process-spec.ts";

/** Ports of a Consul agent; all are on 127.0.0.1. */
export interface ConsulPorts {
  readonly http: number;
  readonly grpc: number;
  readonly server: number;
  readonly serfLan: number;
  readonly serfWan: number;
}

/** Ports for an agent: its HTTP port if that is decided, and free ones for the rest. `free` gives another port each time. */
export async function findConsulPorts(free: () => Promise<number>, http?: number): Promise<ConsulPorts> {
  return {
    http: http ?? (await free()),
    grpc: await free(),
    server: await free(),
    serfLan: await free(),
    serfWan: await free(),
  };
}

/** What the agent needs. */
export interface ConsulOptions {
  /** Path of the `consul` program. */
  readonly program: string;
  readonly ports: ConsulPorts;
  /** Where it keeps its state. Undefined: in memory (`-dev`); services register again by themselves. */
  readonly dataDir?: string;
  readonly env: Environment;
}

/** All processes of a machine are one client to the agent, and each watch is a connection: Consul allows 200 by default. */
const limits = "limits { http_max_conns_per_client = 4096 }";

/**
 * A single Consul server, as `consul agent -dev` is one, on ports that are given
 * (https://developer.hashicorp.com/consul/docs/agent/config/cli-flags). It is ready when it keeps registrations.
 */
export function consulSpec({ program, ports, dataDir, env }: ConsulOptions): ProcessSpec {
  const address = `127.0.0.1:${ports.http}`;
  const state =
    dataDir === undefined
      ? ["-dev"]
      : ["-server", "-bootstrap-expect=1", `-data-dir=${dataDir}`, "-hcl=performance { raft_multiplier = 1 }"];
  const listen = ["-bind=127.0.0.1", "-client=127.0.0.1", "-dns-port=-1", "-grpc-tls-port=-1"];
  const own = [`-http-port=${ports.http}`, `-grpc-port=${ports.grpc}`, `-server-port=${ports.server}`];
  const gossip = [`-serf-lan-port=${ports.serfLan}`, `-serf-wan-port=${ports.serfWan}`];
  return {
    name: "registry",
    command: [program, "agent", ...state, ...listen, ...own, ...gossip, `-hcl=${limits}`, "-log-level=error"],
    env,
    probe: (signal) => keepsRegistrations(address, signal),
  };
}

/** The catalog knows the agent's own node a moment after a leader is elected: what is registered before that can be lost. */
async function keepsRegistrations(address: string, signal: AbortSignal): Promise<ReadyReport | undefined> {
  try {
    const answer = await fetch(`http://${address}/v1/health/service/consul?passing`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(1_000)]),
    });
    return answer.ok && ((await answer.json()) as unknown[]).length > 0 ? { address } : undefined;
  } catch {
    return undefined; // Not listening yet; the process itself is watched by whoever waits.
  }
}
