import type { ProbeResult } from "../checks/probe-result.ts";
import { badRequest, Problem, unknownCheck } from "../problem.ts";
import { parseCheckStatus } from "../state/check-record.ts";
import type { CheckStatus } from "../state/check-record.ts";
import { parseJsonFields } from "../state/json-fields.ts";
import { parseCheckRegistration } from "../state/parse-check.ts";
import { filterOf } from "./answer-read.ts";
import { done } from "./exchange.ts";
import type { Answer, Handler, RouteTable } from "./exchange.ts";
import { refuseScopes } from "./read-options.ts";
import type { RegistryContext } from "./registry-context.ts";
import { checkShape } from "./row-shapes.ts";
import { checkView } from "./views.ts";

/** `/v1/agent/check…`: checks apart from services, and beats. */
export function checkRoutes(context: RegistryContext): RouteTable {
  const { catalog } = context;
  const beatAs =
    (status: CheckStatus): Handler =>
    ({ rest, query }) =>
      beat(context, rest, { status, output: query.get("note") ?? "" });
  return {
    "/v1/agent/checks": {
      GET: ({ query }) => {
        refuseScopes(query, catalog.node.datacenter);
        const isWanted = filterOf(query.get("filter") ?? "", checkShape);
        const own = [...catalog.checks.values()].filter(({ probe }) => probe.type !== "");
        const views = own.map((check) => [check.id, checkView(catalog.node, check)] as const);
        return { json: Object.fromEntries(views.filter(([, view]) => isWanted(view))) };
      },
    },
    "/v1/agent/check/register": {
      PUT: async (exchange) => {
        catalog.setCheck(parseCheckRegistration(await exchange.body(), (serviceId) => ownerOf(context, serviceId)));
        await context.stored();
        return done;
      },
    },
    "/v1/agent/check/deregister/": {
      PUT: async ({ rest }) => {
        if (catalog.checks.get(rest)?.probe.type === "") throw badRequest(`Check ${rest} belongs to the registry itself`);
        if (!catalog.removeCheck(rest)) throw unknownCheck(rest);
        await context.stored();
        return done;
      },
    },
    "/v1/agent/check/pass/": { PUT: beatAs("passing") },
    "/v1/agent/check/warn/": { PUT: beatAs("warning") },
    "/v1/agent/check/fail/": { PUT: beatAs("critical") },
    "/v1/agent/check/update/": { PUT: async ({ rest, body }) => beat(context, rest, parseUpdate(await body())) },
  };
}

function ownerOf({ catalog }: RegistryContext, serviceId: string): { id: string; name: string; tags: readonly string[] } {
  const service = catalog.services.get(serviceId);
  if (service === undefined) throw new Problem(404, `ServiceID ${JSON.stringify(serviceId)} does not exist`);
  return service;
}

function beat({ catalog, runner }: RegistryContext, checkId: string, result: ProbeResult): Answer {
  if (!catalog.checks.has(checkId)) throw unknownCheck(checkId);
  if (!runner.beat(checkId, result)) throw new Problem(500, `CheckID ${JSON.stringify(checkId)} does not have associated TTL`);
  return done;
}

function parseUpdate(body: string): ProbeResult {
  const fields = parseJsonFields(body);
  const text = fields.text("Status");
  const output = fields.text("Output");
  fields.finish();
  const status = parseCheckStatus(text);
  if (status === undefined) throw badRequest(`Invalid check status: '${text}'`);
  return { status, output };
}
