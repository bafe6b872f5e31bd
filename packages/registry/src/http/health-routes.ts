import { badRequest } from "../problem.ts";
import type { CheckRecord } from "../state/check-record.ts";
import type { ServiceRecord } from "../state/service-record.ts";
import { Topic } from "../state/topic.ts";
import { answerRead } from "./answer-read.ts";
import type { Answer, Exchange, RouteTable } from "./exchange.ts";
import type { ReadOptions } from "./read-options.ts";
import type { RegistryContext } from "./registry-context.ts";
import { checkShape, healthEntryShape } from "./row-shapes.ts";
import { checkView, healthEntryView } from "./views.ts";

/** `/v1/health/`: services with their checks. */
export function healthRoutes(context: RegistryContext): RouteTable {
  const { catalog } = context;
  const service = async (exchange: Exchange, isListed: (service: ServiceRecord) => boolean): Promise<Answer> => {
    if (exchange.rest === "") throw badRequest("Missing service name");
    return await answerRead(context, exchange, {
      topic: Topic.service(exchange.rest),
      shape: healthEntryShape,
      value: (options, isWanted) =>
        entriesOf(context, exchange.rest, options)
          .filter(({ service }) => isListed(service))
          .map(({ view }) => view)
          .filter(isWanted),
    });
  };
  const checks = async (exchange: Exchange, topic: string, isListed: (check: CheckRecord) => boolean): Promise<Answer> =>
    await answerRead(context, exchange, {
      topic,
      shape: checkShape,
      value: (_, isWanted) =>
        [...catalog.checks.values()]
          .filter(isListed)
          .map((check) => checkView(catalog.node, check))
          .filter(isWanted),
    });
  return {
    "/v1/health/service/": { GET: async (exchange) => await service(exchange, () => true) },
    "/v1/health/connect/": { GET: async (exchange) => await service(exchange, ({ connectNative }) => connectNative) },
    "/v1/health/checks/": {
      GET: async (exchange) => {
        if (exchange.rest === "") throw badRequest("Missing service name");
        return await checks(exchange, Topic.service(exchange.rest), ({ serviceName }) => serviceName === exchange.rest);
      },
    },
    "/v1/health/state/": {
      GET: async (exchange) => {
        if (exchange.rest === "") throw badRequest("Missing check state");
        return await checks(exchange, Topic.checks, ({ status }) => exchange.rest === "any" || status === exchange.rest);
      },
    },
    "/v1/health/node/": {
      GET: async (exchange) => {
        if (exchange.rest === "") throw badRequest("Missing node name");
        return await checks(exchange, Topic.checks, () => exchange.rest === catalog.node.name);
      },
    },
  };
}

/** The instances of a service with the node's checks and their own, as far as `passing` and `tag` let them through. */
function entriesOf(
  { catalog }: RegistryContext,
  name: string,
  { passing, tags }: ReadOptions,
): readonly { service: ServiceRecord; view: unknown }[] {
  const nodeChecks = catalog.checksOf("");
  const wantedTags = tags.map((tag) => tag.toLowerCase());
  const entries = [];
  for (const service of catalog.servicesNamed(name)) {
    const checks = [...nodeChecks, ...catalog.checksOf(service.id)];
    if (passing && checks.some(({ status }) => status !== "passing")) continue;
    const own = new Set(service.tags.map((tag) => tag.toLowerCase()));
    if (wantedTags.every((tag) => own.has(tag))) entries.push({ service, view: healthEntryView(catalog.node, service, checks) });
  }
  return entries;
}
