export { createEdge } from "./edge.ts";
export type { Edge, EdgeOptions } from "./edge.ts";
export type { ContractWatchSettings } from "./catalogue/contract-watch.ts";
export { defaultForwardedHeaders } from "./http/forwarded-headers.ts";
export { defaultLimits } from "./http/limits.ts";
export type { HttpLimits } from "./http/limits.ts";
