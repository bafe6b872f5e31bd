/** What a reader can wait for. Each topic has the index of its last change. */
export const Topic = {
  /** The list of services: any registration that changes something, any deregistration. */
  services: "services",
  /** Any check. */
  checks: "checks",
  /** The node. */
  nodes: "nodes",
  /** The checks of the node itself, which count for every instance on it. */
  nodeChecks: "node-checks",
  /** The instances of one service, and their checks. */
  service: (name: string): string => `service:${name}`,
  /** One instance by its id, for readers that compare contents: it has no index. */
  instance: (id: string): string => `instance:${id}`,
} as const;

/** True for the instances of one service. */
export function isServiceTopic(topic: string): boolean {
  return topic.startsWith("service:");
}

/** True for one instance. */
export function isInstanceTopic(topic: string): boolean {
  return topic.startsWith("instance:");
}
