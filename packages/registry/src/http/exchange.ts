/** A request as a handler sees it. */
export interface Exchange {
  /** What follows the route's path, decoded: an id or a name, and empty for an exact path. */
  readonly rest: string;
  readonly query: URLSearchParams;
  /** Aborts when the client goes or the registry closes: waits end, and the answer is what is known by then. */
  readonly signal: AbortSignal;
  /** Reads the body as text. Throws Problem 413 beyond the limit. */
  body(): Promise<string>;
}

/** An answer: a value that goes out as JSON, a page, or nothing. */
export interface Answer {
  /** Default: 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly html?: string;
}

/** Answers a request. Throws Problem; anything else becomes 500. */
export type Handler = (exchange: Exchange) => Answer | Promise<Answer>;

/** Handlers by method. `ANY` takes every method. */
export type MethodTable = Readonly<Partial<Record<"GET" | "PUT" | "POST" | "DELETE" | "ANY", Handler>>>;

/** Handlers by path. A path that ends with a slash takes everything below it too. */
export type RouteTable = Readonly<Record<string, MethodTable>>;

/** An answer without a body: a write that worked. */
export const done: Answer = {};
