import { isIPv4, isIPv6 } from "node:net";
import { badRequest } from "../problem.ts";
import { parseJsonFields } from "./json-fields.ts";
import type { JsonFields } from "./json-fields.ts";
import { parseCheck } from "./parse-check.ts";
import type { ParsedCheck } from "./parse-check.ts";
import type { ServiceAddress, ServiceDefinition } from "./service-record.ts";

/** What a registration asks for. */
export interface Registration {
  readonly service: ServiceDefinition;
  readonly checks: readonly ParsedCheck[];
}

const metaKey = /^[A-Za-z0-9_-]+$/;

/**
 * Reads the body of `PUT /v1/agent/service/register`, with Consul's defaults and limits: the id is the name; checks are
 * called `service:<id>`, or `service:<id>:<n>` where there are several. Throws Problem 400.
 */
export function parseRegistration(body: string): Registration {
  const fields = parseJsonFields(body);
  const name = fields.text("Name");
  const id = fields.text("ID") || name;
  const address = fields.text("Address");
  const port = fields.integer("Port");
  const meta = fields.textMap("Meta");
  const service: ServiceDefinition = {
    id,
    name,
    tags: fields.texts("Tags"),
    address,
    port,
    taggedAddresses: { ...ownAddresses(address, port), ...readAddresses(fields) },
    meta,
    weights: readWeights(fields),
    enableTagOverride: fields.flag("EnableTagOverride"),
    connectNative: readConnect(fields),
  };
  const single = fields.object("Check");
  const several = fields.objects("Checks");
  fields.ignore("Token");
  fields.refuse("Kind", "Proxy", "SocketPath", "Locality", "Ports", "Partition", "Namespace", "PeerName");
  fields.finish();
  if (name === "") throw badRequest("Missing service name");
  if (address === "0.0.0.0" || address === "::" || address === "[::]") throw badRequest("Invalid service address");
  checkMeta(meta);
  if (service.connectNative && port === 0) throw badRequest("Validation failed: Port must be set for a Connect native service.");
  return { service, checks: readChecks(service, single, several) };
}

function readChecks(
  service: ServiceDefinition,
  single: JsonFields | undefined,
  several: readonly JsonFields[],
): readonly ParsedCheck[] {
  const owner = { id: service.id, name: service.name, tags: service.tags };
  // An empty `Check` is no check; Consul's clients send one.
  const alone = single === undefined ? undefined : parseCheck(single, owner, { emptyIsNone: true });
  const all = [
    ...(alone === undefined ? [] : [alone]),
    ...several.map((fields) => parseCheck(fields, owner, { emptyIsNone: false })),
  ];
  const checks = all.filter((check) => check !== undefined);
  return checks.map(({ definition, status }, index) => {
    const id = checks.length === 1 ? `service:${service.id}` : `service:${service.id}:${index + 1}`;
    return {
      definition: { ...definition, id: definition.id || id, name: definition.name || `Service '${service.name}' check` },
      status,
    };
  });
}

function readWeights(fields: JsonFields): ServiceDefinition["weights"] {
  const weights = fields.object("Weights");
  if (weights === undefined) return { passing: 1, warning: 1 };
  const passing = weights.integer("Passing");
  const warning = weights.integer("Warning");
  weights.finish();
  if (passing < 1) throw badRequest("Invalid Weights: Passing must be greater than 0");
  if (warning < 0) throw badRequest("Invalid Weights: Warning must be greater or equal than 0");
  if (passing > 65_535 || warning > 65_535) throw badRequest("Invalid Weights: DNS Weight must be between 0 and 65535");
  return { passing, warning };
}

function readConnect(fields: JsonFields): boolean {
  const connect = fields.object("Connect");
  if (connect === undefined) return false;
  const native = connect.flag("Native");
  connect.refuse("SidecarService", "PeerMeta");
  connect.finish();
  return native;
}

function readAddresses(fields: JsonFields): Readonly<Record<string, ServiceAddress>> {
  const read = (inner: JsonFields): ServiceAddress => {
    const address = { address: inner.text("Address"), port: inner.integer("Port") };
    inner.finish();
    return address;
  };
  return Object.fromEntries([...fields.objectMap("TaggedAddresses")].map(([name, inner]) => [name, read(inner)]));
}

function ownAddresses(address: string, port: number): Readonly<Record<string, ServiceAddress>> {
  const own = { address, port };
  if (isIPv4(address)) return { lan_ipv4: own, wan_ipv4: own };
  return isIPv6(address) ? { lan_ipv6: own, wan_ipv6: own } : {};
}

function checkMeta(meta: Readonly<Record<string, string>>): void {
  const pairs = Object.entries(meta);
  if (pairs.length > 64) throw badRequest("Invalid Service Meta: Node metadata cannot contain more than 64 key/value pairs");
  for (const [key, value] of pairs) {
    const problem = metaProblem(key, value);
    if (problem !== undefined)
      throw badRequest(`Invalid Service Meta: Couldn't load metadata pair ('${key}', '${value}'): ${problem}`);
  }
}

function metaProblem(key: string, value: string): string | undefined {
  if (key === "") return "Key cannot be blank";
  if (!metaKey.test(key)) return "Key contains invalid characters";
  if (key.length > 128) return "Key is too long (limit: 128 characters)";
  return value.length > 512 ? "Value is too long (limit: 512 characters)" : undefined;
}
