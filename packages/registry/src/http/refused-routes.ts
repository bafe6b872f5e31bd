import { Problem } from "../problem.ts";
import type { RouteTable } from "./exchange.ts";

/** Parts of Consul's API that exist there and not here, and what they are called. */
const refused: Readonly<Record<string, string>> = {
  "/v1/acl/": "ACLs",
  "/v1/agent/connect/": "the Connect CA",
  "/v1/agent/force-leave/": "a cluster of several agents",
  "/v1/agent/join/": "a cluster of several agents",
  "/v1/agent/leave": "a cluster of several agents",
  "/v1/agent/metrics": "agent metrics",
  "/v1/agent/monitor": "a log stream",
  "/v1/agent/reload": "configuration files",
  "/v1/agent/token/": "ACLs",
  "/v1/catalog/deregister": "writing to the catalog past the agent",
  "/v1/catalog/gateway-services/": "gateways",
  "/v1/catalog/node/": "reading one node of the catalog",
  "/v1/catalog/node-services/": "reading one node of the catalog",
  "/v1/catalog/register": "writing to the catalog past the agent",
  "/v1/config": "config entries",
  "/v1/config/": "config entries",
  "/v1/connect/": "the Connect CA and intentions",
  "/v1/coordinate/": "network coordinates",
  "/v1/discovery-chain/": "config entries",
  "/v1/event/": "events",
  "/v1/exported-services": "peering",
  "/v1/health/ingress/": "gateways",
  "/v1/imported-services": "peering",
  "/v1/internal/": "the web interface of Consul",
  "/v1/kv/": "the key-value store",
  "/v1/operator/": "a cluster of several agents",
  "/v1/peering": "peering",
  "/v1/peering/": "peering",
  "/v1/peerings": "peering",
  "/v1/query": "prepared queries",
  "/v1/query/": "prepared queries",
  "/v1/session/": "sessions",
  "/v1/snapshot": "snapshots",
  "/v1/txn": "transactions",
};

/** Answers 501 with the name of the part: nothing is pretended. */
export function refusedRoutes(): RouteTable {
  const route = ([path, what]: [string, string]): [string, RouteTable[string]] => [
    path,
    {
      ANY: () => {
        throw new Problem(501, `The embedded registry does not have ${what}: use a real Consul for it.`);
      },
    },
  ];
  return Object.fromEntries(Object.entries(refused).map(route));
}
