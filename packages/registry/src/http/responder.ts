import type { Logger } from "@protoloom/mesh/process";
import type { IncomingMessage, ServerResponse } from "node:http";
import { badRequest, Problem } from "../problem.ts";
import type { Answer, RouteTable } from "./exchange.ts";
import { readBody } from "./read-body.ts";
import { findRoute } from "./router.ts";

/** How requests are answered. */
export interface ResponderOptions {
  readonly log: Logger;
  readonly maxBodyBytes: number;
  /** True: the connection ends with the answer. */
  readonly isClosing: () => boolean;
}

/** Answers one request. Never rejects. */
export type Responder = (request: IncomingMessage, response: ServerResponse, signal: AbortSignal) => Promise<void>;

/** Answers by a table of routes. No request ends the process: what cannot be read is answered 4xx, what fails 500. */
export function createResponder(table: RouteTable, { log, maxBodyBytes, isClosing }: ResponderOptions): Responder {
  const routes = new Map(Object.entries(table));
  const answer = async (request: IncomingMessage, signal: AbortSignal): Promise<Answer> => {
    const method = request.method ?? "GET";
    // A page of another site that reaches this address has an Origin on all that it writes; Consul's clients have none.
    if (method !== "GET" && request.headers.origin !== undefined) throw new Problem(403, "Writes from a web page are refused");
    const { path, query } = parseUrl(request.url ?? "/");
    const { handler, rest } = findRoute(routes, method, path);
    return await handler({ rest, query, signal, body: async () => await readBody(request, maxBodyBytes) });
  };
  return async (request, response, signal) => {
    // A client that goes in the middle is no failure of ours.
    request.on("error", () => {});
    response.on("error", () => {});
    const connection = (): Headers => (isClosing() ? { Connection: "close" } : {});
    try {
      const { status, headers, json, html } = await answer(request, signal);
      const indent = /[?&]pretty(?:[=&]|$)/.test(request.url ?? "") ? 4 : undefined;
      const body = html ?? (json === undefined ? "" : JSON.stringify(json, undefined, indent));
      const type = html === undefined ? "application/json" : "text/html; charset=utf-8";
      send(response, status ?? 200, { headers: { "Content-Type": type, ...headers, ...connection() }, body });
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(500, "Internal error");
      if (problem !== error) log.error({ err: error, method: request.method, url: request.url }, "a request failed");
      const headers = { "Content-Type": "text/plain; charset=utf-8", ...problem.headers, ...connection() };
      send(response, problem.status, { headers, body: problem.message });
    }
    // What is left of a body that nobody wanted.
    request.resume();
  };
}

type Headers = Readonly<Record<string, string>>;

function send(
  response: ServerResponse,
  status: number,
  { headers, body }: { readonly headers: Headers; readonly body: string },
): void {
  if (response.headersSent || response.destroyed) return;
  const bytes = Buffer.from(body, "utf8");
  response.writeHead(status, {
    ...headers,
    "Content-Length": bytes.length,
    "X-Consul-Default-ACL-Policy": "allow",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(bytes);
}

/** The decoded path and the query of a request target. The host is never read. Throws Problem 400. */
function parseUrl(target: string): { path: string; query: URLSearchParams } {
  const local = target.replace(/^https?:\/\/[^/?#]*/i, "");
  const mark = local.indexOf("?");
  const path = mark < 0 ? local : local.slice(0, mark);
  try {
    return { path: decodeURIComponent(path) || "/", query: new URLSearchParams(mark < 0 ? "" : local.slice(mark + 1)) };
  } catch {
    throw badRequest("Invalid URL path: its percent encoding is broken");
  }
}
