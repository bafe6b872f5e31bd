import { createValidator } from "@bufbuild/protovalidate";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { formatAddress } from "../base/endpoint.ts";
import type { Logger } from "../base/logger.ts";
import { silentMeter } from "../base/meter.ts";
import type { Meter } from "../base/meter.ts";
import { createTurnBudget } from "../base/turn-budget.ts";
import { registryName } from "../contract/policy.ts";
import type { Instance, Registrar } from "../discovery/registrar.ts";
import { createAdmin } from "./admin.ts";
import { drainServer } from "./drain.ts";
import type { DrainParts } from "./drain.ts";
import { watchEventLoop } from "./event-loop-lag.ts";
import { createHealth } from "./health.ts";
import type { Implementation } from "./implement.ts";
import { listen } from "./listener.ts";
import type { Listener } from "./listener.ts";
import { createOpenCalls, draining } from "./open-calls.ts";
import { buildPipeline, buildRefusal } from "./pipeline.ts";
import type { Handle, SharedParts } from "./pipeline.ts";
import { createReadiness } from "./readiness.ts";
import { writeReadyFile } from "./ready-file.ts";
import { createReflection } from "./reflection.ts";
import type { ServerConfig } from "./server-config.ts";
import { untilAborted } from "./until-aborted.ts";

/** What a server is made of. */
export interface ServeOptions {
  /** The services, from `implement()`. Health and reflection are added. */
  readonly services: readonly Implementation[];
  readonly config: ServerConfig;
  readonly logger: Logger;
  /** Registers the services, each under its registry name. Default: they are not registered. */
  readonly registrar?: Registrar;
  /** Version of this instance, for its registration. Default: none. */
  readonly version?: string;
  /** Default: measures nothing. */
  readonly meter?: Meter;
  /** Default: the clock of this machine. */
  readonly clock?: Clock;
  /** Whether what the services need is there. Asked every second; while it says no, the server is not ready. Default: yes. */
  readonly ready?: () => Promise<boolean> | boolean;
}

/** A server that listens. Disposing drains it. */
export interface Server extends AsyncDisposable {
  /** `host:port` that others call. */
  readonly address: string;
  /** `host:port` of the admin listener. */
  readonly adminAddress: string;
  /**
   * Resolves when the server is ready for the first time: it listens, what its services need is there, the registry lists
   * it, and the ready file is written. Rejects with the signal's reason.
   */
  ready(signal?: AbortSignal): Promise<void>;
  /** Stops serving without losing a call, within the drain timeout (`drain.ts`). Drain twice is one drain. Never throws. */
  drain(): Promise<void>;
}

/**
 * Listens and serves: the services, grpc.health.v1 and reflection for callers, and an admin listener for the operator.
 * Throws an error that names the address when one cannot be listened on.
 */
export async function serve(options: ServeOptions): Promise<Server> {
  const { config, logger, services, clock = systemClock, meter = silentMeter } = options;
  const health = createHealth(services.map(({ service }) => service.typeName));
  const described = [...services, health.implementation];
  const implementations = [...described, ...createReflection(described.map(({ service }) => service))];
  const calls = createOpenCalls();
  const { maxHeaderBytes } = config;
  const shared: SharedParts = {
    logger,
    meter,
    clock,
    calls,
    turns: createTurnBudget(clock),
    maxHeaderBytes,
    validator: createValidator(),
  };
  const listener = await listenFor(implementations, { config, shared });
  const host = config.advertiseHost;
  const port = config.advertisePort === 0 ? listener.port : config.advertisePort;
  const instances = instancesOf(services, { host, port, version: options.version, zone: config.zone });
  const { registrar, ready: ask } = options;
  const readiness = createReadiness({ health, instances, registrar, ask, logger, clock });
  const lag = watchEventLoop({ clock, logger, meter });
  const reasons = (): readonly string[] =>
    lag.isLate ? [...readiness.reasons, `the event loop is ${lag.lagMs} ms late`] : readiness.reasons;
  const admin = await createAdmin(config.adminPort, {
    "/livez": () => ({ status: 200, body: { live: true, eventLoopLagMs: lag.lagMs } }),
    "/readyz": () => {
      const ready = reasons().length === 0;
      return { status: ready ? 200 : 503, body: { ready, reasons: reasons() } };
    },
  }).catch((error: unknown) => {
    listener.close();
    lag[Symbol.dispose]();
    throw error;
  });
  readiness.start();
  logger.info({ listen: formatAddress(config.listenHost, listener.port), admin: admin.address }, "listening");
  return announce({ config, readiness, calls, listener, admin, lag, logger, clock }, formatAddress(host, port));
}

/** Tells the launcher once the server is ready, and hands it to its owner. */
function announce(parts: DrainParts, address: string): Server {
  const { config, readiness, admin, logger } = parts;
  const stop = new AbortController();
  const announced = readiness.ready(stop.signal).then(() => {
    writeReadyFile(config.readyFile, { address, admin: admin.address });
    logger.info({ address }, "ready");
  });
  // Whoever waits for ready() hears of a failure; the log has it in any case.
  announced.catch((error: unknown) => {
    if (!stop.signal.aborted) logger.error({ err: error }, "the server cannot become ready");
  });
  let drained: Promise<void> | undefined;
  const drain = (): Promise<void> => {
    stop.abort(draining());
    return (drained ??= drainServer(parts));
  };
  return {
    address,
    adminAddress: admin.address,
    ready: (signal) => untilAborted(announced, signal),
    drain,
    [Symbol.asyncDispose]: drain,
  };
}

/** Builds the pipeline of each method, once, and listens for its calls. */
function listenFor(
  implementations: readonly Implementation[],
  { config, shared }: { config: ServerConfig; shared: SharedParts },
): Promise<Listener> {
  const handles = new Map<string, Handle>();
  for (const { service, methods } of implementations) {
    for (const method of methods) {
      if (handles.has(method.path)) throw new Error(`${service.typeName} is served twice`);
      handles.set(method.path, buildPipeline(method, shared));
    }
  }
  const refuse = buildRefusal(shared);
  return listen({
    config,
    clock: shared.clock,
    onCall(path, call) {
      // A pipeline never rejects: its outermost stage has the failure in the log.
      void (handles.get(path) ?? refuse)(call);
    },
  });
}

/** What is registered: one instance for each registry name of the services. */
function instancesOf(
  services: readonly Implementation[],
  { host, port, version, zone }: { host: string; port: number; version: string | undefined; zone: string | undefined },
): readonly Instance[] {
  const meta = {
    protocol: "grpc",
    ...(version === undefined ? {} : { version }),
    ...(zone === undefined ? {} : { zone }),
  };
  const names = new Set(services.map(({ service }) => registryName(service)));
  return [...names].map((name) => ({ name, host, port, meta }));
}
