import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { createEndpoint } from "../base/endpoint.ts";
import type { Logger } from "../base/logger.ts";
import { silentLogger } from "../base/logger.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Meter } from "../base/meter.ts";
import { silentMeter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import { systemRandom } from "../base/random.ts";
import type { HealthEntry } from "../consul/consul-answer.ts";
import type { ConsulClient } from "../consul/consul-client.ts";
import type { OwnRegistrations, Standing } from "./fail-static.ts";
import type { Entries, FollowEntriesOptions } from "./follow-entries.ts";
import { followEntries, sortEntries } from "./follow-entries.ts";
import { followDefaults } from "./follow-query.ts";
import type { Latest } from "./latest.ts";
import type { EndpointSet, ListedService, Resolver } from "./resolver.ts";
import type { SharedWatch } from "./shared-watch.ts";
import { createSharedWatch } from "./shared-watch.ts";
import { createTokenBucket } from "./token-bucket.ts";
import type { TroubleLog } from "./trouble-log.ts";
import { createTroubleLog } from "./trouble-log.ts";

/** How long a watch outlives its last follower, in ms. */
const lingerMs = 30_000;

/** The registry's own servers, which it lists among the services: it does so even after it has lost everything else. */
const registryItself = "consul";

/** Requests for evidence of one watch. With the queries themselves (`followDefaults`) at most 20 in any 10 s. */
const evidenceLimits = { burst: 4, everyMs: 2_500 } as const;

/** What createConsulResolver takes. The client stays the caller's. */
export interface ConsulResolverOptions {
  readonly consul: ConsulClient;
  /** What this process registers: the witness of fail-static.ts. Default: it registers nothing. */
  readonly own?: OwnRegistrations;
  readonly logger?: Logger;
  readonly meter?: Meter;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Shared with whatever else in the process talks to the registry. Default: one of its own. */
  readonly trouble?: TroubleLog;
  /** How long the registry may hold a query that has no news, in ms. Default: 10,000. */
  readonly waitMs?: number;
}

/** What the watches of one resolver share. */
interface Shared extends Pick<FollowEntriesOptions<never>, "trouble" | "meter" | "clock" | "random" | "waitMs"> {
  readonly consul: ConsulClient;
  readonly own: OwnRegistrations | undefined;
  /** The services of which endpoints are held and not in doubt: those that an emptied registry would miss. */
  readonly held: Set<string>;
}

/**
 * Resolves names by blocking queries on Consul's `/health/service/:name?passing` and `/catalog/services`, both `stale`, so
 * that a cluster without leader still answers. What is asked as evidence goes to the leader.
 */
export function createConsulResolver(options: ConsulResolverOptions): Resolver {
  const { consul, logger = silentLogger, meter = silentMeter, clock = systemClock, random = systemRandom } = options;
  const { own, trouble = createTroubleLog(logger, clock), waitMs = followDefaults.waitMs } = options;
  const shared: Shared = { consul, own, held: new Set(), meter, clock, random, trouble, waitMs };
  const instances = new Map<string, SharedWatch<EndpointSet>>();
  let services: SharedWatch<readonly ListedService[]> | undefined;
  let closed = false;

  const instancesOf = (name: string): SharedWatch<EndpointSet> => {
    const onIdle = (): void => {
      instances.delete(name);
      shared.held.delete(name);
    };
    const run = (latest: Latest<EndpointSet>, signal: AbortSignal): Promise<void> =>
      followInstances(name, latest, { ...shared, signal });
    return createSharedWatch<EndpointSet>({ run, onIdle, lingerMs, clock });
  };
  const catalog = (): SharedWatch<readonly ListedService[]> => {
    const onIdle = (): void => void (services = undefined);
    const run = (latest: Latest<readonly ListedService[]>, signal: AbortSignal): Promise<void> =>
      followCatalog(latest, { ...shared, signal });
    return createSharedWatch<readonly ListedService[]>({ run, onIdle, lingerMs, clock });
  };

  return {
    async *watch(name, signal) {
      if (closed || signal.aborted) return;
      const watch = instances.get(name) ?? instancesOf(name);
      instances.set(name, watch);
      yield* watch.follow(signal);
    },
    async *watchServices(signal) {
      if (closed || signal.aborted) return;
      services ??= catalog();
      yield* services.follow(signal);
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      const all: AsyncDisposable[] = [...instances.values()];
      if (services !== undefined) all.push(services);
      await Promise.all(all.map((watch) => watch[Symbol.asyncDispose]()));
    },
  };
}

function followInstances(
  name: string,
  latest: Latest<EndpointSet>,
  shared: Shared & { readonly signal: AbortSignal },
): Promise<void> {
  const { consul, held, clock } = shared;
  const ask = createInquiry(clock);
  return followEntries<Endpoint>({
    ...shared,
    resource: `service ${name}`,
    async query(how) {
      const { value, index } = await consul.healthService(name, { ...how, passing: true, stale: true });
      return { value: toEndpoints(value), index };
    },
    witnesses: {
      standing: (signal) => askStanding(shared.own, ask, signal),
      registeredKeys: (signal) =>
        ask(async () => {
          const { value } = await consul.healthService(name, { signal });
          return new Set(toEndpoints(value).keys());
        }),
      listsOthers: (signal) =>
        ask(async () => {
          const others = [...held].filter((other) => other !== name);
          const { value } = await consul.catalogServices({ signal });
          return others.length > 0 && others.every((other) => value.has(other));
        }),
    },
    publish({ entries, doubted, confirmedAtMs }, changed) {
      if (entries.size > 0 && !doubted) held.add(name);
      else held.delete(name);
      latest.set({ endpoints: [...entries.values()], confirmedAtMs }, { quiet: !changed });
    },
  });
}

function followCatalog(
  latest: Latest<readonly ListedService[]>,
  shared: Shared & { readonly signal: AbortSignal },
): Promise<void> {
  const ask = createInquiry(shared.clock);
  return followEntries<ListedService>({
    ...shared,
    resource: "services",
    async query(how) {
      const { value, index } = await shared.consul.catalogServices({ ...how, stale: true });
      return { value: toListedServices(value), index };
    },
    witnesses: {
      standing: (signal) => askStanding(shared.own, ask, signal),
      // A service that the catalog does not list has no instance, whatever its health.
      registeredKeys: async () => new Set(),
      // A list that is empty lists no other.
      listsOthers: async () => false,
    },
    publish({ entries }, changed) {
      latest.set([...entries.values()], { quiet: !changed });
    },
  });
}

/** Makes a request for evidence, unless too many were made a short while ago: then it rejects, without waiting. */
type Inquiry = <T>(request: () => Promise<T>) => Promise<T>;

function createInquiry(clock: Clock): Inquiry {
  const bucket = createTokenBucket({ burst: evidenceLimits.burst, everyMs: evidenceLimits.everyMs }, clock);
  return async (request) => {
    if (bucket.tryTake()) return request();
    throw new MeshError(Code.RESOURCE_EXHAUSTED, `more than ${evidenceLimits.burst} requests for evidence at once`);
  };
}

async function askStanding(own: OwnRegistrations | undefined, ask: Inquiry, signal: AbortSignal): Promise<Standing> {
  return own === undefined || own.isEmpty ? "stranger" : ask(() => own.standing(signal));
}

/** Endpoints by key. An instance without a port cannot be called, and is left out. */
function toEndpoints(entries: readonly HealthEntry[]): Entries<Endpoint> {
  const byId = entries.filter(({ port }) => port > 0).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const endpoints = byId.map(({ id, host, port, weight, meta }) => createEndpoint(host, port, { instanceId: id, weight, meta }));
  return sortEntries(endpoints.map((endpoint) => [endpoint.key, endpoint]));
}

function toListedServices(tagsByName: ReadonlyMap<string, readonly string[]>): Entries<ListedService> {
  const services = [...tagsByName].filter(([name]) => name !== registryItself);
  return sortEntries(services.map(([name, tags]) => [name, { name, tags: tags.toSorted() }]));
}
