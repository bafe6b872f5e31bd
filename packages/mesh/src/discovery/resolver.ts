import type { Endpoint } from "../base/endpoint.ts";

/** What is known about the instances of one service. */
export interface EndpointSet {
  /** Instances whose checks all pass; the last good set when the registry fails (fail static). */
  readonly endpoints: readonly Endpoint[];
  /** When the registry last confirmed this set, in ms of `Clock.now`. */
  readonly confirmedAtMs: number;
}

/** A service that the registry lists. */
export interface ListedService {
  readonly name: string;
  readonly tags: readonly string[];
}

/**
 * Resolves a name to live endpoints, and lists what there is. Every watch gives whole snapshots, first the one that is
 * known, then each change. It ends when the signal aborts or the resolver is disposed, and for no other reason: a registry
 * that fails changes nothing (fail static). Nothing is given before the registry has answered for the first time. Watches of
 * one name share one request.
 */
export interface Resolver extends AsyncDisposable {
  /** The instances of a service whose checks pass; an empty set for a service that nobody has registered. */
  watch(name: string, signal: AbortSignal): AsyncIterable<EndpointSet>;
  /** The services that the registry lists, by name. */
  watchServices(signal: AbortSignal): AsyncIterable<readonly ListedService[]>;
}
