import type { Endpoint } from "../base/endpoint.ts";
import type { MeshError } from "../base/mesh-error.ts";
import { EndpointConnections } from "./endpoint-connections.ts";
import type { RpcContext } from "./endpoint-connections.ts";

/** The connections of a transport, by endpoint; services that name one endpoint share them. */
export interface ConnectionPool {
  /** The connections to an endpoint. Without `retain` they are closed some time after the last call. */
  get(endpoint: Endpoint): EndpointConnections;
  /** As `get`, and keeps them until `release`. */
  retain(endpoint: Endpoint): EndpointConnections;
  /** Gives back what `retain` gave: unless others hold it, it is closed when its calls have ended. */
  release(key: string): void;
  /** Closes everything; calls in flight fail with `error`. */
  close(error: MeshError): void;
}

interface Entry {
  readonly connections: EndpointConnections;
  holders: number;
  stopIdle: (() => void) | undefined;
}

/** An empty pool. */
export function createConnectionPool(context: RpcContext): ConnectionPool {
  const entries = new Map<string, Entry>();

  const discard = (key: string, entry: Entry): void => {
    entry.stopIdle?.();
    entries.delete(key);
    entry.connections.drain();
  };

  const onIdle = (key: string): void => {
    const entry = entries.get(key);
    if (entry === undefined || entry.holders > 0 || entry.stopIdle !== undefined) return;
    entry.stopIdle = context.clock.after(context.settings.idleTimeoutMs, () => {
      entry.stopIdle = undefined;
      if (entry.holders === 0 && entry.connections.isIdle) discard(key, entry);
    });
  };

  const entryOf = (endpoint: Endpoint): Entry => {
    const { key } = endpoint;
    let entry = entries.get(key);
    if (entry === undefined) {
      const made: Entry = {
        connections: new EndpointConnections(endpoint, context, { onIdle: () => onIdle(key), isHeld: () => made.holders > 0 }),
        holders: 0,
        stopIdle: undefined,
      };
      entries.set(key, made);
      entry = made;
    }
    return entry;
  };

  return {
    get: (endpoint) => entryOf(endpoint).connections,
    retain(endpoint) {
      const entry = entryOf(endpoint);
      entry.holders++;
      entry.connections.hold();
      return entry.connections;
    },
    release(key) {
      const entry = entries.get(key);
      if (entry !== undefined && --entry.holders === 0) discard(key, entry);
    },
    close(error) {
      const all = [...entries.values()];
      entries.clear();
      for (const entry of all) {
        entry.stopIdle?.();
        entry.connections.close(error);
      }
    },
  };
}
