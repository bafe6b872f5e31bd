/** One address of an instance, as the registry lists it. Compared by `key`. */
export interface Endpoint {
  /** `host:port`; an IPv6 host stands in brackets. */
  readonly key: string;
  readonly host: string;
  readonly port: number;
  /** Id of the instance in the registry: `name-host-port`. */
  readonly instanceId: string;
  /** Share of the load relative to its peers. Default: 1. */
  readonly weight: number;
  /** Meta of the registration: `protocol`, `version`, `zone`. */
  readonly meta: Readonly<Record<string, string>>;
}

/** Builds an endpoint; everything but the address has a default. */
export function createEndpoint(
  host: string,
  port: number,
  options: { readonly instanceId?: string; readonly weight?: number; readonly meta?: Readonly<Record<string, string>> } = {},
): Endpoint {
  const key = formatAddress(host, port);
  return { key, host, port, instanceId: options.instanceId ?? key, weight: options.weight ?? 1, meta: options.meta ?? {} };
}

/** `host:port`, with brackets around an IPv6 host. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
