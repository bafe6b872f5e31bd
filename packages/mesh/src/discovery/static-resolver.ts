import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import type { Endpoint } from "../base/endpoint.ts";
import type { Latest } from "./latest.ts";
import { createLatest } from "./latest.ts";
import type { EndpointSet, ListedService, Resolver } from "./resolver.ts";

/** A resolver whose endpoints are said, not discovered: for tests, and for running without a registry. */
export interface StaticResolver extends Resolver {
  /** Replaces the endpoints of a service; a service without endpoints stays listed. */
  set(name: string, endpoints: readonly Endpoint[]): void;
  /** Removes a service from the list and empties its endpoints. */
  remove(name: string): void;
}

/**
 * Resolves the names in `sets` and those that `set` adds. A name that is unknown has an empty set, and its watchers get
 * each later change. Disposing ends all watches.
 */
export function createStaticResolver(
  sets: Readonly<Record<string, readonly Endpoint[]>> = {},
  options: { readonly clock?: Clock } = {},
): StaticResolver {
  const clock = options.clock ?? systemClock;
  const known = new Map<string, Latest<EndpointSet>>();
  const names = new Set<string>();
  const services = createLatest<readonly ListedService[]>();

  const latestOf = (name: string): Latest<EndpointSet> => {
    const found = known.get(name);
    if (found !== undefined) return found;
    const latest = createLatest<EndpointSet>();
    latest.set({ endpoints: [], confirmedAtMs: clock.now() });
    known.set(name, latest);
    return latest;
  };
  const replace = (name: string, endpoints: readonly Endpoint[]): void =>
    latestOf(name).set({ endpoints: [...endpoints], confirmedAtMs: clock.now() });
  const list = (): void => services.set([...names].toSorted().map((name) => ({ name, tags: [] })));

  for (const [name, endpoints] of Object.entries(sets)) {
    names.add(name);
    replace(name, endpoints);
  }
  list();

  return {
    watch: (name, signal) => latestOf(name).follow(signal),
    watchServices: (signal) => services.follow(signal),
    set(name, endpoints) {
      replace(name, endpoints);
      if (names.has(name)) return;
      names.add(name);
      list();
    },
    remove(name) {
      replace(name, []);
      if (names.delete(name)) list();
    },
    async [Symbol.asyncDispose]() {
      services.close();
      for (const latest of known.values()) latest.close();
    },
  };
}
