import type { AgentSelf, AgentService, CheckStatus, HealthEntry } from "./consul-answer.ts";
import {
  parseAgentSelf,
  parseAgentService,
  parseCatalogServices,
  parseHealthEntries,
  parseIndex,
  parseJson,
} from "./consul-answer.ts";
import { httpStatus } from "./from-consul.ts";
import { createRegistryTransport } from "./transport.ts";
import type { RegistryAnswer } from "./transport.ts";

/** What the client holds by default. */
export const consulDefaults = {
  /** The longest wait for an answer that the registry need not wait for, in ms. */
  timeoutMs: 2_000,
  /** What a blocking query may take beyond the wait that Consul grants, in ms. */
  slackMs: 250,
} as const;

/** Where the registry is, and how to talk to it. */
export interface ConsulClientOptions {
  /** URL of the registry, such as `http://127.0.0.1:8500`. */
  readonly address: string;
  /** Token of Consul's access control; travels as `X-Consul-Token`. Default: none. */
  readonly token?: string;
  /** Default: 2,000. */
  readonly timeoutMs?: number;
}

/** How one call waits. */
export interface ConsulCallOptions {
  readonly signal?: AbortSignal;
  /** The longest wait for the answer, in ms. Default: that of the client. */
  readonly timeoutMs?: number;
}

/** How a catalog or health query is made. */
export interface ConsulQueryOptions extends ConsulCallOptions {
  /** Answer once the resource has changed since this index. Default: 0, which answers at once. */
  readonly index?: bigint;
  /** The longest that the registry waits for a change, in ms; it adds up to a sixteenth. Default: 10,000. */
  readonly waitMs?: number;
  /** True: any server may answer, even while there is no leader. Default: false, the leader answers. */
  readonly stale?: boolean;
}

/** A value and the index at which the registry had it. 0 is no valid index. */
export interface ConsulAnswer<T> {
  readonly value: T;
  readonly index: bigint;
}

/** An instance with a TTL check whose id is `service:<id>`. */
export interface ServiceRegistration {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly meta: Readonly<Record<string, string>>;
  /** The check turns critical this long after its last beat, in ms. */
  readonly ttlMs: number;
  /** Status of a check that is new; a check that the registry knows keeps its own. */
  readonly status: CheckStatus;
  /** An instance that stays critical for so long is removed. Consul's floor is a minute. */
  readonly removeCriticalAfterMs: number;
}

/**
 * The registry's HTTP API, as far as the mesh uses it (Consul's API, /v1). Every call rejects with a MeshError, whose
 * `info.httpStatus` holds the status if there was an answer, or with the signal's reason. Disposing ends open calls.
 */
export interface ConsulClient extends AsyncDisposable {
  readonly address: string;
  /** Adds or replaces an instance, and checks of it that are no longer named. */
  registerService(service: ServiceRegistration, options?: ConsulCallOptions): Promise<void>;
  /** Removes an instance. NOT_FOUND if the agent has none of this id. */
  deregisterService(id: string, options?: ConsulCallOptions): Promise<void>;
  /** One beat of a TTL check. The same note again costs the registry no write. NOT_FOUND: the agent lost the check. */
  beat(checkId: string, status: "passing" | "critical", options?: ConsulCallOptions & { readonly note?: string }): Promise<void>;
  /** What the agent itself knows of an instance; undefined: nothing. */
  agentService(id: string, options?: ConsulCallOptions): Promise<AgentService | undefined>;
  /** The agent's own description. */
  self(options?: ConsulCallOptions): Promise<AgentSelf>;
  /** The instances of a service; `passing` leaves out those with a check that does not pass. */
  healthService(
    name: string,
    options?: ConsulQueryOptions & { readonly passing?: boolean },
  ): Promise<ConsulAnswer<readonly HealthEntry[]>>;
  /** Tags of all services by name. */
  catalogServices(options?: ConsulQueryOptions): Promise<ConsulAnswer<ReadonlyMap<string, readonly string[]>>>;
}

/** The id that Consul gives to the only check of an instance. */
export function checkId(instanceId: string): string {
  return `service:${instanceId}`;
}

/** Opens a client. No connection is made before the first call. */
export function createConsulClient(options: ConsulClientOptions): ConsulClient {
  const transport = createRegistryTransport(options.address, options.token);
  const defaultTimeoutMs = options.timeoutMs ?? consulDefaults.timeoutMs;
  const bounds = ({ signal, timeoutMs = defaultTimeoutMs }: ConsulCallOptions = {}): {
    signal: AbortSignal | undefined;
    timeoutMs: number;
  } => ({
    signal,
    timeoutMs,
  });

  const query = (
    path: string,
    params: Record<string, string>,
    flags: Record<string, string>,
    how: ConsulQueryOptions,
  ): Promise<RegistryAnswer> => {
    const { index = 0n, waitMs = 10_000, stale = false, signal } = how;
    const blocking = index > 0n;
    // Consul adds up to a sixteenth to the wait, so that its watchers do not wake together.
    const longestMs = blocking ? (waitMs * 17) / 16 + consulDefaults.slackMs : defaultTimeoutMs;
    return transport.request({
      method: "GET",
      path,
      params,
      query: {
        ...flags,
        ...(stale ? { stale: "" } : {}),
        ...(blocking ? { index: `${index}`, wait: `${Math.round(waitMs)}ms` } : {}),
      },
      timeoutMs: how.timeoutMs ?? longestMs,
      signal,
    });
  };

  return {
    address: options.address,
    async registerService(service, how) {
      const query = { "replace-existing-checks": "true" };
      await transport.request({ method: "PUT", path: "/agent/service/register", query, body: toBody(service), ...bounds(how) });
    },
    async deregisterService(id, how) {
      await transport.request({ method: "PUT", path: "/agent/service/deregister/{id}", params: { id }, ...bounds(how) });
    },
    async beat(id, status, how) {
      const path = status === "passing" ? "/agent/check/pass/{id}" : "/agent/check/fail/{id}";
      const query = how?.note === undefined ? {} : { note: how.note };
      await transport.request({ method: "PUT", path, params: { id }, query, ...bounds(how) });
    },
    async agentService(id, how) {
      try {
        const { body } = await transport.request({ method: "GET", path: "/agent/service/{id}", params: { id }, ...bounds(how) });
        return parseAgentService(parseJson(body, "GET /agent/service"), "GET /agent/service");
      } catch (error) {
        if (httpStatus(error) === 404) return undefined;
        throw error;
      }
    },
    async self(how) {
      const { body } = await transport.request({ method: "GET", path: "/agent/self", ...bounds(how) });
      return parseAgentSelf(parseJson(body, "GET /agent/self"), "GET /agent/self");
    },
    async healthService(name, how = {}) {
      const { headers, body } = await query(
        "/health/service/{name}",
        { name },
        how.passing === true ? { passing: "1" } : {},
        how,
      );
      const request = `GET /health/service/${name}`;
      return { value: parseHealthEntries(parseJson(body, request), request), index: parseIndex(headers["x-consul-index"]) };
    },
    async catalogServices(how = {}) {
      const { headers, body } = await query("/catalog/services", {}, {}, how);
      const request = "GET /catalog/services";
      return { value: parseCatalogServices(parseJson(body, request), request), index: parseIndex(headers["x-consul-index"]) };
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

function toBody({ id, name, host, port, meta, ttlMs, status, removeCriticalAfterMs }: ServiceRegistration): object {
  const check = {
    CheckID: checkId(id),
    TTL: `${ttlMs}ms`,
    Status: status,
    DeregisterCriticalServiceAfter: `${removeCriticalAfterMs}ms`,
  };
  return { ID: id, Name: name, Address: host, Port: port, Meta: meta, Check: check };
}
