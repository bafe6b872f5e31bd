import { agentServiceShape } from "./row-shapes.ts";
import { badRequest, Problem, unknownService } from "../problem.ts";
import { worstStatus } from "../state/check-record.ts";
import type { CheckDefinition } from "../state/check-record.ts";
import { parseRegistration } from "../state/parse-registration.ts";
import type { ServiceRecord } from "../state/service-record.ts";
import { Topic } from "../state/topic.ts";
import { filterOf } from "./answer-read.ts";
import { done } from "./exchange.ts";
import type { Answer, Exchange, RouteTable } from "./exchange.ts";
import { parseWaitMs, refuseScopes } from "./read-options.ts";
import type { RegistryContext } from "./registry-context.ts";
import { agentServiceView, checkView, contentHash } from "./views.ts";
import { waitUntil } from "./wait-until.ts";

/** `/v1/agent/service…`: registering instances, and the agent's own view of them. */
export function agentRoutes(context: RegistryContext): RouteTable {
  const { catalog } = context;
  return {
    "/v1/agent/service/register": { PUT: async (exchange) => await register(context, exchange) },
    "/v1/agent/service/deregister/": {
      PUT: async ({ rest }) => {
        if (!catalog.deregister(rest)) throw unknownService(rest);
        await context.stored();
        return done;
      },
    },
    "/v1/agent/service/maintenance/": { PUT: async (exchange) => await serviceMaintenance(context, exchange) },
    "/v1/agent/maintenance": { PUT: async (exchange) => await nodeMaintenance(context, exchange) },
    "/v1/agent/services": { GET: (exchange) => listServices(context, exchange) },
    "/v1/agent/service/": { GET: async (exchange) => await readService(context, exchange) },
    "/v1/agent/health/service/id/": { GET: ({ rest }) => instanceHealth(context, rest) },
    "/v1/agent/health/service/name/": { GET: ({ rest }) => serviceHealth(context, rest) },
  };
}

async function register({ catalog, stored }: RegistryContext, exchange: Exchange): Promise<Answer> {
  const { service, checks } = parseRegistration(await exchange.body());
  const replace = exchange.query.get("replace-existing-checks");
  catalog.register(service, checks, { replaceChecks: replace === "" || replace === "true" || replace === "1" });
  await stored();
  return done;
}

function listServices({ catalog }: RegistryContext, { query }: Exchange): Answer {
  refuseScopes(query, catalog.node.datacenter);
  const isWanted = filterOf(query.get("filter") ?? "", agentServiceShape);
  const views = [...catalog.services.values()].map(
    (service) => [service.id, agentServiceView(service, catalog.node.datacenter)] as const,
  );
  return { json: Object.fromEntries(views.filter(([, view]) => isWanted(view))) };
}

/** One instance. With `?hash` of an earlier answer it waits until the instance is another one, or gone. */
async function readService(context: RegistryContext, { rest, query, signal }: Exchange): Promise<Answer> {
  const { catalog } = context;
  const read = (): { view: object; hash: string } | undefined => {
    const service = catalog.services.get(rest);
    if (service === undefined) return undefined;
    const view = agentServiceView(service, catalog.node.datacenter);
    return { view, hash: contentHash(view) };
  };
  const known = query.get("hash") ?? "";
  const waitMs = parseWaitMs(query.get("wait") ?? "");
  await waitUntil(context, { topic: Topic.instance(rest), isDue: () => known === "" || read()?.hash !== known, waitMs, signal });
  const found = read();
  if (found === undefined) throw new Problem(404, `unknown service ID: ${rest}`);
  return { headers: { "X-Consul-ContentHash": found.hash }, json: { ...found.view, ContentHash: found.hash } };
}

const maintenanceNote = "Maintenance mode is enabled, but no reason was provided.";

async function serviceMaintenance(context: RegistryContext, { rest, query }: Exchange): Promise<Answer> {
  if (rest === "") throw badRequest("Missing service ID");
  const enable = parseEnable(query);
  const service = context.catalog.services.get(rest);
  if (service === undefined) throw unknownService(rest);
  const owner = { serviceId: service.id, serviceName: service.name, serviceTags: service.tags };
  return await setMaintenance(context, enable, {
    ...maintenanceCheck(query),
    ...owner,
    id: `_service_maintenance:${service.id}`,
    name: "Service Maintenance Mode",
  });
}

async function nodeMaintenance(context: RegistryContext, { query }: Exchange): Promise<Answer> {
  const enable = parseEnable(query);
  return await setMaintenance(context, enable, {
    ...maintenanceCheck(query),
    id: "_node_maintenance",
    name: "Node Maintenance Mode",
  });
}

/** Idempotent: the reason of the first time stays. */
async function setMaintenance(
  { catalog, stored }: RegistryContext,
  enable: boolean,
  definition: CheckDefinition,
): Promise<Answer> {
  if (!enable) catalog.removeCheck(definition.id);
  else if (!catalog.checks.has(definition.id)) catalog.setCheck({ definition, status: "critical" });
  await stored();
  return done;
}

function maintenanceCheck(query: URLSearchParams): Omit<CheckDefinition, "id" | "name"> {
  return {
    notes: query.get("reason") || maintenanceNote,
    serviceId: "",
    serviceName: "",
    serviceTags: [],
    probe: { type: "maintenance" },
    intervalMs: 0,
    timeoutMs: 0,
    thresholds: { passing: 0, warning: 0, critical: 0 },
    maxOutputLength: 0,
    deregisterAfterMs: 0,
  };
}

function parseEnable(query: URLSearchParams): boolean {
  const text = query.get("enable");
  if (text === null) throw badRequest("Missing value for enable");
  if (/^(?:1|t|true)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  throw badRequest(`Invalid value for enable: ${JSON.stringify(text)}`);
}

const statusCodes = { passing: 200, warning: 429, critical: 503 } as const;

function instanceHealth(context: RegistryContext, id: string): Answer {
  const service = context.catalog.services.get(id);
  if (service === undefined) throw new Problem(404, `ServiceId ${id} not found`);
  const { status, view } = aggregate(context, service);
  return { status: statusCodes[status], headers: { "X-Consul-Reason": status }, json: view };
}

/** All instances of a service, with the status code of the worst. */
function serviceHealth(context: RegistryContext, name: string): Answer {
  const found = context.catalog.servicesNamed(name).map((service) => aggregate(context, service));
  if (found.length === 0) throw new Problem(404, `ServiceName ${name} Not Found`);
  const status = worstStatus(found);
  return { status: statusCodes[status], headers: { "X-Consul-Reason": status }, json: found.map(({ view }) => view) };
}

function aggregate({ catalog }: RegistryContext, service: ServiceRecord): { status: keyof typeof statusCodes; view: unknown } {
  const checks = [...catalog.checksOf(""), ...catalog.checksOf(service.id)];
  const status = worstStatus(checks);
  const own = checks.filter(({ serviceId }) => serviceId !== "").map((check) => checkView(catalog.node, check));
  return { status, view: { AggregatedStatus: status, Service: agentServiceView(service, catalog.node.datacenter), Checks: own } };
}
