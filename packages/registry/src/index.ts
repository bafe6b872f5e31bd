export { createRegistry } from "./registry.ts";
export type { Registry, RegistryOptions } from "./registry.ts";
export type { HttpLimits } from "./http/http-server.ts";
