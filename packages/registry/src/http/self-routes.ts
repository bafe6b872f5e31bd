import type { RouteTable } from "./exchange.ts";
import type { RegistryContext } from "./registry-context.ts";

/** `/v1/agent/self` and `/v1/agent/members`: what this registry says about itself. There is one of it, and it leads. */
export function selfRoutes(context: RegistryContext): RouteTable {
  const { node } = context.catalog;
  const member = (): unknown => {
    const address = context.address();
    const colon = address.lastIndexOf(":");
    return {
      Name: node.name,
      Addr: address.slice(0, colon).replace(/^\[|\]$/g, ""),
      Port: Number(address.slice(colon + 1)),
      Tags: { build: `${context.version}:protoloom`, dc: node.datacenter, id: node.id, role: "consul", vsn: "2" },
      Status: 1,
      ProtocolMin: 2,
      ProtocolMax: 2,
      ProtocolCur: 2,
      DelegateMin: 2,
      DelegateMax: 2,
      DelegateCur: 2,
    };
  };
  return {
    "/v1/agent/self": {
      GET: () => ({
        json: {
          Config: {
            Datacenter: node.datacenter,
            PrimaryDatacenter: node.datacenter,
            NodeName: node.name,
            NodeID: node.id,
            Revision: "protoloom",
            Server: true,
            Version: context.version,
          },
          DebugConfig: { ACLsEnabled: false, ConnectEnabled: false, DefaultIntentionPolicy: "" },
          Member: member(),
          Meta: node.meta,
          // `consul info` reads this; it has no counters of Consul's own to offer.
          Stats: { agent: { services: String(context.catalog.services.size), checks: String(context.runner.running) } },
        },
      }),
    },
    "/v1/agent/members": { GET: () => ({ json: [member()] }) },
  };
}
