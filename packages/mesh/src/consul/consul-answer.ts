import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";

/** The state of a check, or of an instance: the worst of its checks. */
export type CheckStatus = "passing" | "warning" | "critical";

/** One instance as the health endpoints list it. */
export interface HealthEntry {
  readonly id: string;
  /** The instance's own address, or its node's when it has none. */
  readonly host: string;
  readonly port: number;
  /** Weight while passing, 1 or more. */
  readonly weight: number;
  readonly meta: Readonly<Record<string, string>>;
  /** Status by check id. Checks of the node (`serfHealth`) are among them. */
  readonly checks: ReadonlyMap<string, CheckStatus>;
}

/** A service as the agent knows it. */
export interface AgentService {
  readonly id: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly meta: Readonly<Record<string, string>>;
}

/** What an agent says about itself. */
export interface AgentSelf {
  readonly datacenter: string;
  readonly nodeName: string;
  readonly version: string;
}

type Json = Readonly<Record<string, unknown>>;

/** Reads the body of an answer. Throws INTERNAL if it is no JSON, as when it was cut off. */
export function parseJson(body: Uint8Array | undefined, request: string): unknown {
  try {
    return JSON.parse(Buffer.from(body ?? "").toString("utf8"));
  } catch (cause) {
    throw new MeshError(Code.INTERNAL, `registry: ${request}: ${body?.length ?? 0} bytes that are no JSON`, { cause });
  }
}

/** Reads `X-Consul-Index`; what is missing or no number is 0, which no valid answer has. */
export function parseIndex(header: unknown): bigint {
  return typeof header === "string" && /^\d{1,20}$/.test(header) ? BigInt(header) : 0n;
}

/** Reads the answer of `/health/service/:name`. */
export function parseHealthEntries(value: unknown, request: string): readonly HealthEntry[] {
  return asArray(value, request).map((entry) => {
    const { Node: node, Service: service, Checks: checks } = asObject(entry, request);
    const { ID: id, Address: address, Port: port, Meta: meta, Weights: weights } = asObject(service, request);
    const weight = isObject(weights) && typeof weights["Passing"] === "number" ? weights["Passing"] : 1;
    return {
      id: asText(id, request),
      host: asText(address, request) || asText(asObject(node, request)["Address"], request),
      port: asPort(port, request),
      weight: Math.max(1, weight),
      meta: toMeta(meta),
      checks: new Map(asArray(checks ?? [], request).map((check) => toCheck(asObject(check, request), request))),
    };
  });
}

/** Reads the answer of `/catalog/services`: tags by name. */
export function parseCatalogServices(value: unknown, request: string): ReadonlyMap<string, readonly string[]> {
  const entries = Object.entries(asObject(value, request));
  return new Map(entries.map(([name, tags]) => [name, asArray(tags ?? [], request).map((tag) => asText(tag, request))]));
}

/** Reads the answer of `/agent/service/:id`. */
export function parseAgentService(value: unknown, request: string): AgentService {
  const { ID: id, Service: name, Address: host, Port: port, Meta: meta } = asObject(value, request);
  return {
    id: asText(id, request),
    name: asText(name, request),
    host: asText(host, request),
    port: asPort(port, request),
    meta: toMeta(meta),
  };
}

/** Reads the answer of `/agent/self`. */
export function parseAgentSelf(value: unknown, request: string): AgentSelf {
  const config = asObject(asObject(value, request)["Config"], request);
  return {
    datacenter: asText(config["Datacenter"], request),
    nodeName: asText(config["NodeName"], request),
    version: asText(config["Version"], request),
  };
}

function toCheck(check: Json, request: string): [string, CheckStatus] {
  const status = check["Status"];
  // A status of a later Consul that we do not know is no passing one.
  return [asText(check["CheckID"], request), status === "passing" || status === "warning" ? status : "critical"];
}

/** Sorted, so that equal content has equal form. */
function toMeta(value: unknown): Readonly<Record<string, string>> {
  const entries = isObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(
    entries.map(([name, text]) => [name, String(text)] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unreadable(request: string, expected: string, value: unknown): MeshError {
  return new MeshError(
    Code.INTERNAL,
    `registry: ${request}: expected ${expected}, got ${value === null ? "null" : typeof value}`,
  );
}

function asObject(value: unknown, request: string): Json {
  if (isObject(value)) return value;
  throw unreadable(request, "an object", value);
}

function asArray(value: unknown, request: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw unreadable(request, "an array", value);
}

function asText(value: unknown, request: string): string {
  if (typeof value === "string") return value;
  throw unreadable(request, "a text", value);
}

function asPort(value: unknown, request: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65_535) return value;
  throw unreadable(request, "a port", value);
}
