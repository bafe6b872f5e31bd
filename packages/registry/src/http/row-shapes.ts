import { flag, integer, struct, text, textMap, texts } from "../filter/shape.ts";
import type { Shape } from "../filter/shape.ts";

const address: Shape = struct({ Address: text, Port: integer });
const addresses: Shape = { kind: "map", of: address };
const weights = struct({ Passing: integer, Warning: integer });
const connect = struct({ Native: flag });
const proxy = struct({ Mode: text });
const nodeFields = { ID: text, Node: text, Address: text, Datacenter: text, TaggedAddresses: textMap, Meta: textMap };
const checkFields = {
  Node: text,
  CheckID: text,
  Name: text,
  Status: text,
  Notes: text,
  Output: text,
  ServiceID: text,
  ServiceName: text,
  ServiceTags: texts,
  Type: text,
  Interval: text,
  Timeout: text,
};
const serviceFields = {
  ID: text,
  Kind: text,
  Service: text,
  Tags: texts,
  Address: text,
  TaggedAddresses: addresses,
  Meta: textMap,
  Port: integer,
  Weights: weights,
  EnableTagOverride: flag,
  Connect: connect,
  Proxy: proxy,
  PeerName: text,
};

/** Rows of `/v1/agent/services`. */
export const agentServiceShape: Shape = struct(serviceFields);
/** Rows of all answers that are lists of checks. */
export const checkShape: Shape = struct(checkFields);
/** Rows of `/v1/catalog/nodes`. */
export const nodeShape: Shape = struct(nodeFields);
/** Rows of `/v1/health/service/:name`. */
export const healthEntryShape: Shape = struct({
  Node: struct(nodeFields),
  Service: struct(serviceFields),
  Checks: { kind: "structs", fields: checkFields },
});
/** Rows of `/v1/catalog/service/:name`, and the instances that `/v1/catalog/services` is made of. */
export const catalogEntryShape: Shape = struct({
  ID: text,
  Node: text,
  Address: text,
  Datacenter: text,
  TaggedAddresses: textMap,
  NodeMeta: textMap,
  ServiceKind: text,
  ServiceID: text,
  ServiceName: text,
  ServiceTags: texts,
  ServiceAddress: text,
  ServiceTaggedAddresses: addresses,
  ServiceWeights: weights,
  ServiceMeta: textMap,
  ServicePort: integer,
  ServiceEnableTagOverride: flag,
  ServiceConnect: connect,
  ServiceProxy: proxy,
});
