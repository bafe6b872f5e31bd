import { Problem } from "../problem.ts";
import type { Handler, RouteTable } from "./exchange.ts";

/** Where a request goes. */
export interface RouteMatch {
  readonly handler: Handler;
  /** What follows the route's path. */
  readonly rest: string;
}

/**
 * Finds the handler of a decoded path: the exact path, else the longest route above it that ends with a slash. Throws Problem
 * 404 for no route, and 405 with `Allow` for a method that a route has not.
 */
export function findRoute(routes: ReadonlyMap<string, RouteTable[string]>, method: string, path: string): RouteMatch {
  const exact = routes.get(path) ?? routes.get(`${path}/`);
  if (exact !== undefined) return { handler: handlerFor(exact, method), rest: "" };
  for (let slash = path.lastIndexOf("/"); slash >= 0; slash = path.lastIndexOf("/", slash - 1)) {
    const methods = routes.get(path.slice(0, slash + 1));
    // The root is one page, not everything below it.
    if (methods !== undefined && slash > 0) return { handler: handlerFor(methods, method), rest: path.slice(slash + 1) };
    if (slash === 0) break;
  }
  throw new Problem(404, "Invalid URL path: not a recognized HTTP API endpoint");
}

function handlerFor(methods: RouteTable[string], method: string): Handler {
  const handler = methods.ANY ?? methods[method as "GET"];
  if (handler !== undefined) return handler;
  const allow = ["OPTIONS", ...Object.keys(methods)].join(",");
  if (method === "OPTIONS") return () => ({ headers: { Allow: allow } });
  throw new Problem(405, `method ${method} not allowed`, { Allow: allow });
}
