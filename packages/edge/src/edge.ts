import { formatAddress, silentMeter, systemClock, systemRandom } from "@protoloom/mesh";
import type { Clock, Logger, Meter, Random, Registrar, Resolver, Transport } from "@protoloom/mesh";
import { createCatalogue } from "./catalogue/catalogue.ts";
import { contractWatchDefaults } from "./catalogue/contract-watch.ts";
import type { ContractWatchSettings } from "./catalogue/contract-watch.ts";
import { createOwnServices } from "./descriptors/own-services.ts";
import { createEdgeHandler } from "./edge-handler.ts";
import { createForwardHeaders, defaultForwardedHeaders } from "./http/forwarded-headers.ts";
import { defaultLimits } from "./http/limits.ts";
import type { HttpLimits } from "./http/limits.ts";
import { listen } from "./http/server.ts";
import { createIsExposed } from "./rpc/exposed-method.ts";
import { createUpstream } from "./rpc/upstream.ts";

/** What an edge is made of. Everything but the first three has a default. */
export interface EdgeOptions {
  /** Where services are found, and that there are any. It stays the caller's, like `transport`. */
  readonly resolver: Resolver;
  readonly transport: Transport;
  readonly logger: Logger;
  /** Registers the edge as `edge`, with protocol `http`. Default: it is not registered. */
  readonly registrar?: Registrar;
  /** Host that is listened on. Default: 127.0.0.1. */
  readonly host?: string;
  /** Port that is listened on. Default: 0, a free one. */
  readonly port?: number;
  /** Address that others call. Default: the host and port that are listened on. */
  readonly advertise?: { readonly host?: string; readonly port?: number };
  /** Zone of this instance, for its registration. */
  readonly zone?: string;
  readonly limits?: Partial<HttpLimits>;
  readonly contracts?: Partial<ContractWatchSettings>;
  /** Request headers that go on to services. Default: `defaultForwardedHeaders`. */
  readonly forwardedHeaders?: readonly string[];
  /** Query parameters that are skipped although no field has their name. Default: none. */
  readonly allowedParameters?: readonly string[];
  /** True: every unknown query parameter is skipped. Default: it is a fault. */
  readonly ignoreUnknownParameters?: boolean;
  /** True: unknown fields of a JSON body are faults. Default: they are dropped. */
  readonly strictBody?: boolean;
  /** Methods that are served although their contract does not expose them: `package.Service/Method` or `package.Service/*`. */
  readonly expose?: readonly string[];
  /** True: the edge answers grpc.reflection and grpc.health, for the exposed methods. Default: true. */
  readonly reflection?: boolean;
  /** How long a drain keeps serving while others learn of it, in ms. Default: 1,000. */
  readonly drainNoticeMs?: number;
  /** Longest drain, in ms; what is open then is cut off. Default: 10,000. */
  readonly drainTimeoutMs?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly meter?: Meter;
}

/** A running edge. Disposing drains it. */
export interface Edge extends AsyncDisposable {
  /** `host:port` that others call. */
  readonly address: string;
  /** Resolves when the first catalogue is loaded and the registration, if any, confirmed. Rejects with the signal's reason. */
  ready(signal?: AbortSignal): Promise<void>;
  /** Not ready, deregistered, after a notice no longer listening; then open requests finish. Drain twice is one drain. */
  drain(): Promise<void>;
}

/** Listens, and serves every exposed method of what the registry lists. Rejects when the address cannot be listened on. */
export async function createEdge(options: EdgeOptions): Promise<Edge> {
  const clock = options.clock ?? systemClock;
  const meter = options.meter ?? silentMeter;
  const limits: HttpLimits = { ...defaultLimits, ...options.limits };
  const { logger, resolver, transport } = options;
  const forward = createForwardHeaders(options.forwardedHeaders ?? defaultForwardedHeaders);
  const upstream = createUpstream({ clock, forward });
  const strictBody = options.strictBody ?? false;
  const shared = { upstream, maxBodyBytes: limits.maxBodyBytes };
  const catalogue = createCatalogue(
    {
      resolver,
      transport,
      clock,
      random: options.random ?? systemRandom,
      logger,
      meter,
      settings: { ...contractWatchDefaults, ...options.contracts },
    },
    {
      transport,
      isExposed: createIsExposed(options.expose ?? []),
      rules: { allowed: new Set(options.allowedParameters), ignoreUnknown: options.ignoreUnknownParameters ?? false, strictBody },
      connect: { ...shared, strictBody },
      stream: { clock, forward, maxBodyBytes: limits.maxBodyBytes },
    },
  );
  let isDraining = false;
  const isReady = (): boolean => catalogue.loaded && !isDraining;
  const own = createOwnServices(() => ({ table: catalogue.table, serving: isReady() }), {
    clock,
    maxBodyBytes: limits.maxBodyBytes,
  });
  const handlers = createEdgeHandler({
    table: () => catalogue.table,
    isLoaded: () => catalogue.loaded,
    isReady,
    rest: shared,
    own: (options.reflection ?? true) ? own : new Map(),
    clock,
    logger,
    meter,
  });
  const host = options.host ?? "127.0.0.1";
  const server = await listen({ host, port: options.port ?? 0 }, handlers, limits).catch(async (error: unknown) => {
    await catalogue[Symbol.asyncDispose]();
    throw error;
  });
  const advertised = { host: options.advertise?.host ?? host, port: options.advertise?.port || server.port };
  const zone = options.zone === undefined ? {} : { zone: options.zone };
  const registration = options.registrar?.register({ name: "edge", ...advertised, meta: { protocol: "http", ...zone } });
  const close = async (): Promise<void> => {
    isDraining = true;
    server.retire();
    registration?.setServing(false);
    await registration?.deregister();
    const end = AbortSignal.timeout(options.drainTimeoutMs ?? 10_000);
    await clock.sleep(options.drainNoticeMs ?? 1_000);
    await server.close(end);
    await catalogue[Symbol.asyncDispose]();
    await registration?.[Symbol.asyncDispose]();
  };
  let closing: Promise<void> | undefined;
  const drain = (): Promise<void> => (closing ??= close());
  return {
    address: formatAddress(advertised.host, advertised.port),
    async ready(signal) {
      await Promise.all([catalogue.ready(signal), registration?.ready(signal)]);
    },
    drain,
    [Symbol.asyncDispose]: drain,
  };
}
