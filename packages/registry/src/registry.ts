import { silentLogger, systemClock, systemRandom } from "@protoloom/mesh/process";
import type { Clock, Logger, Random } from "@protoloom/mesh/process";
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { createCheckRunner } from "./checks/check-runner.ts";
import { startReaper } from "./checks/reaper.ts";
import { agentRoutes } from "./http/agent-routes.ts";
import { catalogRoutes } from "./http/catalog-routes.ts";
import { checkRoutes } from "./http/check-routes.ts";
import type { RouteTable } from "./http/exchange.ts";
import { healthRoutes } from "./http/health-routes.ts";
import { createHttpServer, defaultHttpLimits } from "./http/http-server.ts";
import type { HttpLimits } from "./http/http-server.ts";
import { refusedRoutes } from "./http/refused-routes.ts";
import type { RegistryContext } from "./http/registry-context.ts";
import { selfRoutes } from "./http/self-routes.ts";
import { statusPage } from "./http/status-page.ts";
import { createKeeper, noKeeper } from "./persistence/keeper.ts";
import type { Keeper } from "./persistence/keeper.ts";
import { findOwner, noteOwner } from "./persistence/owner-file.ts";
import { loadState, saveState } from "./persistence/state-file.ts";
import type { StoredState } from "./persistence/state-file.ts";
import { createCatalog } from "./state/catalog.ts";
import type { Catalog } from "./state/catalog.ts";
import { nodeCheckId } from "./state/check-record.ts";
import type { CheckDefinition } from "./state/check-record.ts";
import { registryVersion } from "./version.ts";

/** How a registry is run. Everything has a default. */
export interface RegistryOptions {
  /** Address to listen on. Default: 127.0.0.1. There is no access control: whoever reaches it may register. */
  readonly host?: string;
  /** Port to listen on; 0 takes a free one. Default: 0. */
  readonly port?: number;
  /** Where registrations and the state of checks are kept over restarts. Default: nowhere, a restart forgets all. */
  readonly dataDir?: string;
  /** Name of the node, which stands for this machine. Default: the host name. */
  readonly nodeName?: string;
  /** Default: dc1, as for Consul. */
  readonly datacenter?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Logger;
  readonly limits?: Partial<HttpLimits>;
  /** Time between two looks for services that were critical for too long. Default: 30 s, as Consul has it. */
  readonly reapIntervalMs?: number;
}

/** A registry that runs. */
export interface Registry extends AsyncDisposable {
  /** `host:port` that it listens on. */
  readonly address: string;
  /** Stops: waiting readers are answered, checks end, the state is stored. */
  close(): Promise<void>;
}

/** Status changes that nobody waits for are stored within this time. */
const storeDelayMs = 100;

/**
 * Starts the embedded registry: the part of Consul's HTTP API that a mesh uses, with checks that really run. Rejects when the
 * address cannot be had or the stored state cannot be read.
 */
export async function createRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const { host = "127.0.0.1", port = 0, dataDir, clock = systemClock, random = systemRandom, log = silentLogger } = options;
  const restored = dataDir === undefined ? undefined : await loadFreeState(dataDir);
  const node = {
    id: restored?.nodeId ?? randomUUID(),
    name: options.nodeName ?? hostname(),
    address: host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host,
    datacenter: options.datacenter ?? "dc1",
    meta: { registry: "protoloom" },
  };
  const catalog = createCatalog({ node, now: () => clock.now(), restored });
  addNodeCheck(catalog);
  const keeper =
    dataDir === undefined
      ? noKeeper
      : createKeeper({
          clock,
          log,
          delayMs: storeDelayMs,
          save: async () => await saveState(dataDir, { format: 1, nodeId: node.id, ...catalog.state() }),
        });
  catalog.follow(({ kind }) => kind === "changed" && keeper.changed());
  const runner = createCheckRunner(catalog, { clock, random, log });
  const stopReaper = startReaper(catalog, { clock, log, intervalMs: options.reapIntervalMs ?? 30_000 });
  let address = "";
  const stored = async (): Promise<void> => await keeper.stored();
  const context = { catalog, runner, clock, random, version: registryVersion(), address: () => address, stored };
  const server = createHttpServer(allRoutes(context), log, { ...defaultHttpLimits, ...options.limits });
  const stopWork = (): void => {
    stopReaper();
    runner[Symbol.dispose]();
  };
  try {
    address = await server.listen(host, port);
    if (dataDir !== undefined) await claim(keeper, dataDir, address);
  } catch (error) {
    await server.close();
    stopWork();
    throw error;
  }
  const close = async (): Promise<void> => {
    await server.close();
    stopWork();
    await keeper[Symbol.asyncDispose]();
  };
  return { address, close, [Symbol.asyncDispose]: close };
}

/** The stored state, unless another registry is at it. */
async function loadFreeState(dataDir: string): Promise<StoredState | undefined> {
  const state = await loadState(dataDir);
  const owner = state === undefined ? undefined : await findOwner(dataDir, state.nodeId);
  if (owner !== undefined) throw new Error(`the data directory ${dataDir} is in use by the registry at ${owner}`);
  return state;
}

/** Stores the state, and with it the node's id, and notes who keeps it from here on. */
async function claim(keeper: Keeper, dataDir: string, address: string): Promise<void> {
  keeper.changed();
  await keeper.stored();
  await noteOwner(dataDir, address);
}

function allRoutes(context: RegistryContext): RouteTable {
  return {
    ...refusedRoutes(),
    ...statusPage(context),
    ...selfRoutes(context),
    ...agentRoutes(context),
    ...checkRoutes(context),
    ...healthRoutes(context),
    ...catalogRoutes(context),
  };
}

/** The node's own check, which Consul's clients expect in front of a service's checks. */
function addNodeCheck(catalog: Catalog): void {
  const definition: CheckDefinition = {
    id: nodeCheckId,
    name: "Serf Health Status",
    notes: "",
    serviceId: "",
    serviceName: "",
    serviceTags: [],
    probe: { type: "" },
    intervalMs: 0,
    timeoutMs: 0,
    thresholds: { passing: 0, warning: 0, critical: 0 },
    maxOutputLength: 0,
    deregisterAfterMs: 0,
  };
  catalog.setCheck({ definition, status: "passing" });
  catalog.setStatus(nodeCheckId, "passing", "Agent alive and reachable");
}
