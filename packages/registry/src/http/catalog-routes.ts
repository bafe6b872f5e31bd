import { badRequest } from "../problem.ts";
import type { ServiceRecord } from "../state/service-record.ts";
import { Topic } from "../state/topic.ts";
import { answerRead } from "./answer-read.ts";
import type { Answer, Exchange, RouteTable } from "./exchange.ts";
import type { RegistryContext } from "./registry-context.ts";
import { catalogEntryShape, nodeShape } from "./row-shapes.ts";
import { catalogEntryView, nodeView } from "./views.ts";

/** `/v1/catalog/`: what is registered, without checks; and `/v1/status/`. */
export function catalogRoutes(context: RegistryContext): RouteTable {
  const { catalog } = context;
  const service = async (exchange: Exchange, isListed: (service: ServiceRecord) => boolean): Promise<Answer> => {
    const { rest } = exchange;
    if (rest === "") throw badRequest("Missing service name");
    const value = (tags: readonly string[]): readonly unknown[] =>
      catalog
        .servicesNamed(rest)
        .filter((found) => isListed(found) && tags.every((tag) => found.tags.includes(tag)))
        .map((found) => catalogEntryView(catalog.node, found));
    return await answerRead(context, exchange, {
      topic: Topic.service(rest),
      shape: catalogEntryShape,
      value: ({ tags }, isWanted) => value(tags).filter(isWanted),
    });
  };
  return {
    "/v1/catalog/services": {
      GET: async (exchange) =>
        await answerRead(context, exchange, {
          topic: Topic.services,
          shape: catalogEntryShape,
          value: (_, isWanted) =>
            tagsByName([...catalog.services.values()].filter((found) => isWanted(catalogEntryView(catalog.node, found)))),
        }),
    },
    "/v1/catalog/service/": { GET: async (exchange) => await service(exchange, () => true) },
    "/v1/catalog/connect/": { GET: async (exchange) => await service(exchange, ({ connectNative }) => connectNative) },
    "/v1/catalog/nodes": {
      GET: async (exchange) =>
        await answerRead(context, exchange, {
          topic: Topic.nodes,
          shape: nodeShape,
          value: (_, isWanted) => [nodeView(catalog.node)].filter(isWanted),
        }),
    },
    "/v1/catalog/datacenters": { GET: () => ({ json: [catalog.node.datacenter] }) },
    "/v1/status/leader": { GET: () => ({ json: context.address() }) },
    "/v1/status/peers": { GET: () => ({ json: [context.address()] }) },
  };
}

/** All tags of each service, sorted, with the services in the order of their names. */
function tagsByName(services: readonly ServiceRecord[]): Readonly<Record<string, readonly string[]>> {
  const tags = new Map<string, Set<string>>();
  for (const service of services) tags.set(service.name, (tags.get(service.name) ?? new Set()).union(new Set(service.tags)));
  const names = [...tags.keys()].toSorted();
  return Object.fromEntries(names.map((name) => [name, [...(tags.get(name) ?? [])].toSorted()]));
}
