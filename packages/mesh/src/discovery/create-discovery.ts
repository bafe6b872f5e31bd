import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import type { Registrar } from "./registrar.ts";
import type { Resolver } from "./resolver.ts";

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

/** Builds the discovery of a process. Disposing deregisters what is still registered and ends all watches. */
export function createDiscovery(_options: DiscoveryOptions): Discovery {
  throw new Error("being written");
}
