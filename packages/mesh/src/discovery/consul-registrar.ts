import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { silentLogger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { silentMeter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import { systemRandom } from "../base/random.ts";
import type { ConsulClient } from "../consul/consul-client.ts";
import { ConsulRegistration, registrationDefaults } from "./consul-registration.ts";
import type { OwnRegistrations } from "./fail-static.ts";
import type { Registrar } from "./registrar.ts";
import type { TroubleLog } from "./trouble-log.ts";
import { createTroubleLog } from "./trouble-log.ts";

/** What createConsulRegistrar takes. The client stays the caller's. */
export interface ConsulRegistrarOptions {
  readonly consul: ConsulClient;
  readonly logger?: Logger;
  readonly meter?: Meter;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Shared with whatever else in the process talks to the registry. Default: one of its own. */
  readonly trouble?: TroubleLog;
  /** An instance turns critical this long after its last beat, in ms. Default: 3,000. */
  readonly ttlMs?: number;
  /** Time between two beats in ms. Default: 1,000. */
  readonly beatMs?: number;
}

/** Registers with Consul's agent, and is the witness of what it has registered. Disposing deregisters all. */
export interface ConsulRegistrar extends Registrar, OwnRegistrations, AsyncDisposable {}

/**
 * Registers instances with a TTL check (Consul: "TTL checks"), beats for them, and registers again whatever the registry
 * has lost. A registration cannot vanish: a 404 to a beat, or an instance that the catalog does not list, is registered at
 * once.
 */
export function createConsulRegistrar(options: ConsulRegistrarOptions): ConsulRegistrar {
  const { consul, logger = silentLogger, meter = silentMeter, clock = systemClock, random = systemRandom } = options;
  const { ttlMs = registrationDefaults.ttlMs, beatMs = registrationDefaults.beatMs } = options;
  const trouble = options.trouble ?? createTroubleLog(logger, clock);
  const registrations = new Set<ConsulRegistration>();
  return {
    register(instance) {
      const registration = new ConsulRegistration(instance, { consul, logger, trouble, meter, clock, random, ttlMs, beatMs });
      registrations.add(registration);
      return registration;
    },
    get isEmpty() {
      return ![...registrations].some(({ expected }) => expected);
    },
    async standing(signal) {
      const expected = [...registrations].filter((registration) => registration.expected);
      const known = await Promise.all(expected.map((registration) => registration.isKnown(signal)));
      return known.every(Boolean) ? "known" : "unknown";
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...registrations].map((registration) => registration.deregister()));
    },
  };
}
