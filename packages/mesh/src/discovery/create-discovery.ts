import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { silentLogger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import { createConsulClient } from "../consul/consul-client.ts";
import { createConsulRegistrar } from "./consul-registrar.ts";
import { createConsulResolver } from "./consul-resolver.ts";
import type { Registrar } from "./registrar.ts";
import type { Resolver } from "./resolver.ts";
import { createTroubleLog } from "./trouble-log.ts";

/** What createDiscovery takes. */
export interface DiscoveryOptions {
  /** URL of the registry, such as `http://127.0.0.1:8500`: the local Consul agent, or the embedded registry. */
  readonly address: string;
  /** Token of Consul's access control. Default: none. */
  readonly token?: string;
  /** Default: nothing is logged. */
  readonly logger?: Logger;
  /** Default: nothing is measured. */
  readonly meter?: Meter;
  readonly clock?: Clock;
  readonly random?: Random;
  /** How long the registry may hold a watch that has no news, in ms. Default: 10,000. */
  readonly waitMs?: number;
}

/** Registration and discovery of one process, over one client of the registry. */
export interface Discovery extends AsyncDisposable {
  readonly registrar: Registrar;
  readonly resolver: Resolver;
}

/**
 * Builds the discovery of a process. What it registers is its witness: the resolver believes that something is gone only
 * from a registry that lists this process (fail-static.ts). Disposing deregisters what is still registered, then ends all
 * watches; it takes about a second at most while the registry is away.
 */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { address, token, logger = silentLogger, clock = systemClock } = options;
  const consul = createConsulClient({ address, ...(token === undefined ? {} : { token }) });
  const shared = { ...options, consul, logger, clock, trouble: createTroubleLog(logger.child({ registry: address }), clock) };
  const registrar = createConsulRegistrar(shared);
  const resolver = createConsulResolver({ ...shared, own: registrar });
  return {
    registrar,
    resolver,
    async [Symbol.asyncDispose]() {
      await registrar[Symbol.asyncDispose]();
      await resolver[Symbol.asyncDispose]();
      await consul[Symbol.asyncDispose]();
    },
  };
}
