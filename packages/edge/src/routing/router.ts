import { splitPath, decodeAllButSlash, decodeEscapes } from "./raw-path.ts";
import type { Template, TemplateSegment } from "./template.ts";

/** A route that matches a request. */
export interface RouteMatch<Value> {
  readonly kind: "found";
  readonly value: Value;
  /** Decoded values of the template's variables, in their order. */
  readonly captures: readonly string[];
  /** True: the request is HEAD and a GET rule answers it. */
  readonly headOfGet: boolean;
}

/** What a router says of a request. */
export type RouteResult<Value> =
  | RouteMatch<Value>
  | { readonly kind: "unknown" }
  | { readonly kind: "refused"; readonly allow: string };

/** Finds the route of a request. Built once and then only read. */
export interface Router<Value> {
  /** Throws INVALID_ARGUMENT for a path that no route may see (splitPath). */
  find(method: string, path: string): RouteResult<Value>;
}

/** A route to be built in; `method` is an HTTP method or `*` for every one. */
export interface RouteEntry<Value> {
  readonly method: string;
  readonly template: Template;
  readonly value: Value;
}

interface Branch<Value> {
  readonly literals: Map<string, Branch<Value>>;
  one: Branch<Value> | undefined;
  rest: Branch<Value> | undefined;
  /** Routes whose template ends here, by verb and then by method. */
  readonly ends: Map<string, Map<string, RouteEntry<Value>>>;
}

function createBranch<Value>(): Branch<Value> {
  return { literals: new Map(), one: undefined, rest: undefined, ends: new Map() };
}

/**
 * Builds a router. A path matches segment by segment, literal before `*` before `**` (the longest first), with backtracking; the
 * order of the entries never counts. Two entries of one method whose templates have one shape are an Error: the caller decides
 * which of them stands.
 */
export function createRouter<Value>(entries: readonly RouteEntry<Value>[]): Router<Value> {
  const root = createBranch<Value>();
  const verbs = new Set<string>();
  for (const entry of entries) {
    const { verb, shape } = entry.template;
    const branch = entry.template.segments.reduce(descend, root);
    const routes = branch.ends.get(verb) ?? new Map<string, RouteEntry<Value>>();
    if (routes.has(entry.method)) throw new Error(`${entry.method} ${shape} is declared twice`);
    branch.ends.set(verb, routes.set(entry.method, entry));
    if (verb !== "") verbs.add(verb);
  }
  return {
    find(method, path) {
      const segments = splitPath(path);
      const verb = takeVerb(segments, verbs);
      // The first match mostly has the method: then no other is looked for.
      const found: Map<string, RouteEntry<Value>>[] = [];
      const own = match(root, segments.map(decodeEscapes), 0, (branch) => {
        const routes = branch.ends.get(verb);
        if (routes !== undefined) found.push(routes);
        return routes?.get(method);
      });
      if (own !== undefined) return toMatch(own, segments, false);
      return found.length === 0 ? { kind: "unknown" } : choose(method, found, segments);
    },
  };
}

function descend<Value>(branch: Branch<Value>, segment: TemplateSegment): Branch<Value> {
  switch (segment.kind) {
    case "literal": {
      const next = branch.literals.get(segment.text) ?? createBranch<Value>();
      branch.literals.set(segment.text, next);
      return next;
    }
    case "one":
      return (branch.one ??= createBranch());
    case "rest":
      return (branch.rest ??= createBranch());
  }
}

/** Cuts a known verb off the last segment. Text after an unknown one, or after an escaped colon, belongs to the segment. */
function takeVerb(segments: string[], verbs: ReadonlySet<string>): string {
  const last = segments.at(-1) ?? "";
  const colon = last.lastIndexOf(":");
  if (colon < 0) return "";
  const verb = last.slice(colon + 1);
  if (!verbs.has(verb)) return "";
  segments[segments.length - 1] = last.slice(0, colon);
  return verb;
}

/** Visits every branch that the segments end in, in order of precedence, until `visit` gives something. */
function match<Value, Result>(
  branch: Branch<Value>,
  segments: readonly string[],
  at: number,
  visit: (branch: Branch<Value>) => Result | undefined,
): Result | undefined {
  const segment = segments[at];
  if (segment !== undefined) {
    const literal = branch.literals.get(segment);
    const found =
      (literal && match(literal, segments, at + 1, visit)) ??
      (branch.one && segment !== "" ? match(branch.one, segments, at + 1, visit) : undefined);
    if (found !== undefined) return found;
  } else {
    const found = visit(branch);
    if (found !== undefined) return found;
  }
  if (branch.rest === undefined) return undefined;
  for (let next = segments.length; next >= at; next--) {
    const found = match(branch.rest, segments, next, visit);
    if (found !== undefined) return found;
  }
  return undefined;
}

function choose<Value>(
  method: string,
  found: readonly ReadonlyMap<string, RouteEntry<Value>>[],
  segments: readonly string[],
): RouteResult<Value> {
  const first = (name: string): RouteEntry<Value> | undefined => found.find((routes) => routes.has(name))?.get(name);
  const any = first("*");
  if (any !== undefined) return toMatch(any, segments, false);
  const get = method === "HEAD" ? first("GET") : undefined;
  if (get !== undefined) return toMatch(get, segments, true);
  const methods = [...new Set(found.flatMap((routes) => [...routes.keys()]))];
  if (methods.includes("GET") && !methods.includes("HEAD")) methods.push("HEAD");
  return { kind: "refused", allow: methods.join(", ") };
}

function toMatch<Value>(entry: RouteEntry<Value>, segments: readonly string[], headOfGet: boolean): RouteMatch<Value> {
  const { segments: pattern, variables } = entry.template;
  const extra = segments.length - pattern.length;
  const rest = extra === 0 ? pattern.length : pattern.findIndex(({ kind }) => kind === "rest");
  // Segments after `**` are counted from the end of the path.
  const place = (index: number): number => (index > rest ? index + extra : index);
  const captures = variables.map(({ from, to, multiple }) => {
    if (!multiple) return decodeEscapes(segments[place(from)] ?? "");
    return decodeAllButSlash(segments.slice(place(from), place(to)).join("/"));
  });
  return { kind: "found", value: entry.value, captures, headOfGet };
}
