import type { Pick, Picker } from "../balancing/picker.ts";
import { createP2cPicker } from "../balancing/p2c-picker.ts";
import { Code } from "../base/code.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Resolver } from "../discovery/resolver.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import type { EndpointConnections, RpcContext } from "./endpoint-connections.ts";

/** Where the calls of one service can go. */
export interface Route {
  readonly context: RpcContext;
  /** Chooses an endpoint that is not excluded. */
  pick(excluded: ReadonlySet<string> | undefined): Pick | undefined;
  /** The connections to an endpoint that was picked. */
  connections(endpoint: Endpoint): EndpointConnections;
  /** True once it is known which endpoints there are. */
  readonly isKnown: boolean;
  /** Why every call fails, once the transport is closed. */
  readonly closed: MeshError | undefined;
  /** The error of a call for which there is no endpoint. */
  noInstance(): MeshError;
  /** Calls back once when the endpoints change, or the route closes. Gives the function that forgets it. */
  onChange(callback: () => void): () => void;
}

/** A route that can be closed: waiting calls then fail. */
export interface ClosableRoute extends Route {
  close(error: MeshError): void;
}

/** The route to the live endpoints of a service. Its watch begins with the first pick and ends with `close`. */
export function createServiceRoute(
  name: string,
  resolver: Resolver,
  options: { readonly context: RpcContext; readonly pool: ConnectionPool },
): ClosableRoute {
  const { context, pool } = options;
  const watch = new AbortController();
  const held = new Map<string, EndpointConnections>();
  const picker: Picker = createP2cPicker({
    clock: context.clock,
    random: context.random,
    isDoubtful: ({ key }) => held.get(key)?.isDoubtful === true,
  });
  const changes = createChanges();
  let isKnown = false;
  let following: Promise<void> | undefined;
  let closed: MeshError | undefined;

  const update = (endpoints: readonly Endpoint[]): void => {
    const keys = new Set(endpoints.map(({ key }) => key));
    for (const endpoint of endpoints) if (!held.has(endpoint.key)) held.set(endpoint.key, pool.retain(endpoint));
    picker.update(endpoints);
    isKnown = true;
    for (const key of held.keys()) {
      if (keys.has(key)) continue;
      held.delete(key);
      pool.release(key);
    }
    changes.tell();
  };

  const follow = async (): Promise<void> => {
    while (!watch.signal.aborted) {
      try {
        for await (const { endpoints } of resolver.watch(name, watch.signal)) update(endpoints);
        return;
      } catch (error) {
        if (watch.signal.aborted) return;
        // A watch ends for no other reason than its signal; should it, the last set stays and the watch begins again.
        context.logger.error({ service: name, err: error }, "the watch of the service's endpoints has broken");
        await context.clock.sleep(1_000, watch.signal).catch(() => {});
      }
    }
  };

  return {
    context,
    pick(excluded) {
      following ??= follow();
      return picker.pick(excluded);
    },
    connections: (endpoint) => held.get(endpoint.key) ?? pool.get(endpoint),
    get isKnown() {
      return isKnown;
    },
    get closed() {
      return closed;
    },
    noInstance: () => {
      const detail = isKnown
        ? `the service ${name} has no instance that can be called`
        : `nothing is known about the service ${name} yet`;
      return new MeshError(Code.UNAVAILABLE, detail, { reason: "NO_INSTANCE" });
    },
    onChange: changes.once,
    close(error) {
      closed = error;
      watch.abort();
      changes.tell();
    },
  };
}

/** The route to one endpoint. */
export function createEndpointRoute(
  endpoint: Endpoint,
  options: { readonly context: RpcContext; readonly pool: ConnectionPool; readonly closed: () => MeshError | undefined },
): Route {
  const pick: Pick = { endpoint, done: () => {} };
  return {
    context: options.context,
    pick: (excluded) => (excluded?.has(endpoint.key) === true ? undefined : pick),
    connections: () => options.pool.get(endpoint),
    isKnown: true,
    get closed() {
      return options.closed();
    },
    noInstance: () => new MeshError(Code.UNAVAILABLE, `${endpoint.key} cannot be called`, { reason: "NO_INSTANCE" }),
    onChange: () => () => {},
  };
}

function createChanges(): { tell(): void; once(callback: () => void): () => void } {
  const waiting = new Set<() => void>();
  return {
    tell() {
      const all = [...waiting];
      waiting.clear();
      for (const callback of all) callback();
    },
    once(callback) {
      waiting.add(callback);
      return () => waiting.delete(callback);
    },
  };
}
