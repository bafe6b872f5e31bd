import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import { silentLogger } from "../base/logger.ts";
import type { Logger } from "../base/logger.ts";
import { MeshError } from "../base/mesh-error.ts";
import { silentMeter } from "../base/meter.ts";
import type { Meter } from "../base/meter.ts";
import { systemRandom } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import { createTurnBudget } from "../base/turn-budget.ts";
import type { Resolver } from "../discovery/resolver.ts";
import { createConnectionPool } from "./connection-pool.ts";
import type { RpcContext } from "./endpoint-connections.ts";
import { createEndpointRoute, createServiceRoute } from "./route.ts";
import type { ClosableRoute, Route } from "./route.ts";
import { callStream } from "./stream.ts";
import { transportDefaults } from "./transport-settings.ts";
import type { TransportSettings } from "./transport-settings.ts";
import type { ServiceTransport, Transport } from "./transport.ts";
import { callUnary } from "./unary.ts";

/** What a transport is made of. */
export interface TransportOptions {
  /** Where services are found. It stays the caller's: the transport does not dispose it. */
  readonly resolver: Resolver;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
  readonly meter?: Meter;
  /** Overrides of `transportDefaults`. */
  readonly settings?: Partial<TransportSettings>;
}

/**
 * The byte transport over node:http2. Nothing is connected before the first call. Disposing it closes all connections:
 * calls in flight fail with CANCELLED, as do later ones.
 */
export function createTransport(options: TransportOptions): Transport {
  const { resolver, clock = systemClock } = options;
  const context: RpcContext = {
    settings: { ...transportDefaults, ...options.settings },
    clock,
    turns: createTurnBudget(clock),
    random: options.random ?? systemRandom,
    logger: options.logger ?? silentLogger,
    meter: options.meter ?? silentMeter,
  };
  const pool = createConnectionPool(context);
  const services = new Map<string, { readonly route: ClosableRoute; readonly transport: ServiceTransport }>();
  let closed: MeshError | undefined;

  return {
    service(name) {
      const known = services.get(name);
      if (known !== undefined) return known.transport;
      const route = createServiceRoute(name, resolver, { context, pool });
      if (closed !== undefined) route.close(closed);
      const transport = serviceTransport(route);
      services.set(name, { route, transport });
      return transport;
    },
    endpoint: (endpoint) => serviceTransport(createEndpointRoute(endpoint, { context, pool, closed: () => closed })),
    async [Symbol.asyncDispose]() {
      closed ??= new MeshError(Code.CANCELLED, "the transport was closed", { reason: "CALLER_GONE" });
      for (const { route } of services.values()) route.close(closed);
      pool.close(closed);
    },
  };
}

function serviceTransport(route: Route): ServiceTransport {
  return {
    unary: (call, message) => callUnary(route, call, message),
    stream: (call) => callStream(route, call),
  };
}
