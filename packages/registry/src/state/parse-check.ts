import { badRequest, notSupported } from "../problem.ts";
import { nodeCheckId, parseCheckStatus } from "./check-record.ts";
import type { CheckDefinition, CheckStatus, Probe, ProbeTls } from "./check-record.ts";
import { parseJsonFields } from "./json-fields.ts";
import type { JsonFields } from "./json-fields.ts";

/** A check as it was asked for, with the status that it starts with. */
export interface ParsedCheck {
  readonly definition: CheckDefinition;
  readonly status: CheckStatus;
}

/** The service instance that a check belongs to. */
export interface CheckOwner {
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
}

const defaultMaxOutputLength = 4_096;
/** A service is never removed sooner than this after its check turned critical, as Consul has it. */
const minDeregisterAfterMs = 60_000;
const unsupported = [
  "Args",
  "ScriptArgs",
  "Script",
  "Shell",
  "DockerContainerID",
  "UDP",
  "H2PING",
  "OSService",
  "AliasNode",
  "AliasService",
];

/**
 * Reads one check of a registration. With `emptyIsNone`, an object without any value gives undefined. Throws Problem 400.
 * The id and name may be empty: the caller knows what to call it.
 */
export function parseCheck(
  fields: JsonFields,
  owner: CheckOwner,
  options: { readonly emptyIsNone: boolean },
): ParsedCheck | undefined {
  const common = readCommon(fields, owner);
  const tls = { serverName: fields.text("TLSServerName"), skipVerify: fields.flag("TLSSkipVerify") };
  const ttlMs = fields.durationMs("TTL");
  const probed = readProbe(fields, tls);
  const statusText = fields.text("Status");
  fields.refuse(...unsupported);
  fields.ignore("ServiceID", "H2PingUseTLS", "ProxyHTTP", "ProxyGRPC", "Namespace", "Partition", "ExposedPort");
  fields.finish();
  if (common.id === nodeCheckId) throw badRequest(`Check ${nodeCheckId} belongs to the registry itself`);
  const isEmpty =
    common.id === "" && common.name === "" && statusText === "" && probed === undefined && ttlMs === 0 && common.intervalMs === 0;
  if (isEmpty && options.emptyIsNone) return undefined;
  const status = statusText === "" ? "critical" : parseCheckStatus(statusText);
  if (status === undefined) throw badRequest("Status for checks must 'passing', 'warning', 'critical'");
  const { warning, critical } = common.thresholds;
  if (warning > critical) throw badRequest("Invalid check: FailuresBeforeWarning can't be higher than FailuresBeforeCritical");
  if (common.intervalMs > 0 && ttlMs > 0) throw badRequest("Invalid check: Interval and TTL cannot both be specified");
  if (probed !== undefined && ttlMs === 0 && common.intervalMs <= 0) {
    throw badRequest("Invalid check: Interval must be > 0 for HTTP, TCP or GRPC checks");
  }
  if (probed !== undefined && ttlMs > 0) throw badRequest("Invalid check: TTL does not go with HTTP, TCP or GRPC");
  if (probed === undefined && ttlMs <= 0) throw badRequest("Invalid check: TTL must be > 0 for TTL checks");
  return { definition: { ...common, probe: probed ?? { type: "ttl", ttlMs } }, status };
}

/** Reads the body of `PUT /v1/agent/check/register`. `findOwner` gives the service that the body names. Throws Problem. */
export function parseCheckRegistration(body: string, findOwner: (serviceId: string) => CheckOwner): ParsedCheck {
  const fields = parseJsonFields(body);
  const name = fields.text("Name");
  const serviceId = fields.text("ServiceID");
  const owner = serviceId === "" ? { id: "", name: "", tags: [] } : findOwner(serviceId);
  fields.ignore("Token");
  if (name === "") throw badRequest("Missing check name");
  const check = parseCheck(fields, owner, { emptyIsNone: false });
  if (check === undefined) throw badRequest("Invalid check");
  return { ...check, definition: { ...check.definition, name, id: check.definition.id || name } };
}

function readCommon(fields: JsonFields, owner: CheckOwner): Omit<CheckDefinition, "probe"> {
  const critical = fields.integer("FailuresBeforeCritical");
  const warning = fields.integer("FailuresBeforeWarning");
  const deregisterAfterMs = fields.durationMs("DeregisterCriticalServiceAfter");
  const checkId = fields.text("CheckID");
  return {
    id: fields.text("ID") || checkId,
    name: fields.text("Name"),
    notes: fields.text("Notes"),
    serviceId: owner.id,
    serviceName: owner.name,
    serviceTags: owner.tags,
    intervalMs: fields.durationMs("Interval"),
    timeoutMs: Math.max(0, fields.durationMs("Timeout")),
    thresholds: { passing: fields.integer("SuccessBeforePassing"), warning: warning || critical, critical },
    maxOutputLength: fields.integer("OutputMaxSize") || defaultMaxOutputLength,
    deregisterAfterMs: deregisterAfterMs <= 0 ? 0 : Math.max(minDeregisterAfterMs, deregisterAfterMs),
  };
}

function readProbe(fields: JsonFields, tls: ProbeTls): Probe | undefined {
  const grpc = readGrpc(fields, tls);
  const http = readHttp(fields, tls);
  const tcp = readTcp(fields, tls);
  const probes = [grpc, http, tcp].filter((probe) => probe !== undefined);
  if (probes.length > 1) throw notSupported("a check of several kinds");
  return probes[0];
}

function readGrpc(fields: JsonFields, tls: ProbeTls): Probe | undefined {
  const useTls = fields.flag("GRPCUseTLS");
  const target = fields.text("GRPC");
  if (target === "") return undefined;
  const slash = target.indexOf("/");
  const service = slash < 0 ? "" : target.slice(slash + 1);
  return { type: "grpc", target: slash < 0 ? target : target.slice(0, slash), service, tls: useTls ? tls : undefined };
}

function readHttp(fields: JsonFields, tls: ProbeTls): Probe | undefined {
  const url = fields.text("HTTP");
  const method = fields.text("Method") || "GET";
  const headers = fields.textsMap("Header");
  const body = fields.text("Body");
  const followRedirects = !fields.flag("DisableRedirects");
  if (url === "") return undefined;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw badRequest(`Invalid check: HTTP ${JSON.stringify(url)} is no http URL`);
  return { type: "http", url, method, headers, body, followRedirects, tls };
}

function readTcp(fields: JsonFields, tls: ProbeTls): Probe | undefined {
  const target = fields.text("TCP");
  const useTls = fields.flag("TCPUseTLS");
  return target === "" ? undefined : { type: "tcp", target, tls: useTls ? tls : undefined };
}
