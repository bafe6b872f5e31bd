import { createHash } from "node:crypto";
import type { CheckRecord } from "../state/check-record.ts";
import { formatDuration } from "../state/duration.ts";
import type { NodeRecord, ServiceRecord } from "../state/service-record.ts";

/** A value that becomes JSON, with Consul's names. */
export type Json = Readonly<Record<string, unknown>>;

/** The node in catalog and health answers. The registry is part of the node: both have index 1. */
export function nodeView(node: NodeRecord): Json {
  return {
    ID: node.id,
    Node: node.name,
    Address: node.address,
    Datacenter: node.datacenter,
    TaggedAddresses: { lan: node.address, wan: node.address },
    Meta: node.meta,
    CreateIndex: 1,
    ModifyIndex: 1,
  };
}

/** An instance as the agent lists it (`/v1/agent/services`). */
export function agentServiceView(service: ServiceRecord, datacenter: string): Json {
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Meta: service.meta,
    Port: service.port,
    Address: service.address,
    ...taggedAddresses(service, "TaggedAddresses"),
    Weights: weightsView(service),
    EnableTagOverride: service.enableTagOverride,
    ...(service.connectNative ? { Connect: connectView(service) } : {}),
    Datacenter: datacenter,
  };
}

/** A text that changes with an agent's view of an instance: `X-Consul-ContentHash`. */
export function contentHash(view: Json): string {
  return createHash("sha256").update(JSON.stringify(view)).digest("hex").slice(0, 16);
}

/** One entry of `/v1/health/service/:name`. */
export function healthEntryView(node: NodeRecord, service: ServiceRecord, checks: readonly CheckRecord[]): Json {
  return {
    Node: nodeView(node),
    Service: {
      ID: service.id,
      Service: service.name,
      Tags: service.tags,
      Address: service.address,
      ...taggedAddresses(service, "TaggedAddresses"),
      Meta: service.meta,
      Port: service.port,
      Weights: weightsView(service),
      EnableTagOverride: service.enableTagOverride,
      Proxy: proxyView,
      Connect: connectView(service),
      PeerName: "",
      CreateIndex: service.createIndex,
      ModifyIndex: service.modifyIndex,
    },
    Checks: checks.map((check) => checkView(node, check)),
  };
}

/** One entry of `/v1/catalog/service/:name`: node and service in one flat object. */
export function catalogEntryView(node: NodeRecord, service: ServiceRecord): Json {
  const { Meta, CreateIndex: _created, ModifyIndex: _modified, ...nodePart } = nodeView(node);
  return {
    ...nodePart,
    NodeMeta: Meta,
    ServiceKind: "",
    ServiceID: service.id,
    ServiceName: service.name,
    ServiceTags: service.tags,
    ServiceAddress: service.address,
    ...taggedAddresses(service, "ServiceTaggedAddresses"),
    ServiceWeights: weightsView(service),
    ServiceMeta: service.meta,
    ServicePort: service.port,
    ServiceSocketPath: "",
    ServiceEnableTagOverride: service.enableTagOverride,
    ServiceProxy: proxyView,
    ServiceConnect: connectView(service),
    CreateIndex: service.createIndex,
    ModifyIndex: service.modifyIndex,
  };
}

/** A check in agent, catalog and health answers. */
export function checkView(node: NodeRecord, check: CheckRecord): Json {
  return {
    Node: node.name,
    CheckID: check.id,
    Name: check.name,
    Status: check.status,
    Notes: check.notes,
    Output: check.output,
    ServiceID: check.serviceId,
    ServiceName: check.serviceName,
    ServiceTags: check.serviceTags,
    Type: check.probe.type,
    Interval: formatDuration(check.intervalMs),
    Timeout: formatDuration(check.timeoutMs),
    ExposedPort: 0,
    Definition: {},
    CreateIndex: check.createIndex,
    ModifyIndex: check.modifyIndex,
  };
}

const proxyView: Json = { Mode: "", MeshGateway: {}, Expose: {} };

function connectView(service: ServiceRecord): Json {
  return service.connectNative ? { Native: true } : {};
}

function weightsView({ weights }: ServiceRecord): Json {
  return { Passing: weights.passing, Warning: weights.warning };
}

function taggedAddresses(service: ServiceRecord, name: string): Json {
  const addresses = Object.entries(service.taggedAddresses);
  if (addresses.length === 0) return {};
  return { [name]: Object.fromEntries(addresses.map(([key, { address, port }]) => [key, { Address: address, Port: port }])) };
}
