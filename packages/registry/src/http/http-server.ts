import { formatAddress } from "@protoloom/mesh/process";
import type { Logger } from "@protoloom/mesh/process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { badRequest, Problem } from "../problem.ts";
import type { Answer, RouteTable } from "./exchange.ts";
import { readBody } from "./read-body.ts";
import { findRoute } from "./router.ts";

/** What one client may cost. */
export interface HttpLimits {
  /** Longest body. Default: 512 kB, as Consul has it for values. */
  readonly maxBodyBytes: number;
  /** All headers and the URL together. Default: 16 kB. */
  readonly maxHeaderBytes: number;
  /** Open connections; each waiting reader holds one. Default: 4096. */
  readonly maxConnections: number;
  /** A request has to be here within this time. Default: 30 s. */
  readonly requestTimeoutMs: number;
}

/** The limits that hold unless told otherwise. */
export const defaultHttpLimits: HttpLimits = {
  maxBodyBytes: 524_288,
  maxHeaderBytes: 16_384,
  maxConnections: 4_096,
  requestTimeoutMs: 30_000,
};

/** A connection without requests is kept this long: longer than clients keep theirs. */
const keepAliveMs = 75_000;
/** Answers that are being written when the server closes have this long. */
const closeGraceMs = 500;

/** An HTTP/1.1 server over a table of routes. */
export interface HttpServer {
  /** Listens; resolves to `host:port`. Rejects when the address cannot be had. */
  listen(host: string, port: number): Promise<string>;
  /** Ends all waits, writes their answers and closes. */
  close(): Promise<void>;
}

/** Serves routes. No request ends the process: what cannot be read is answered 4xx, what fails 500. */
export function createHttpServer(table: RouteTable, log: Logger, limits: HttpLimits = defaultHttpLimits): HttpServer {
  const routes = new Map(Object.entries(table));
  const open = new Set<AbortController>();
  let closing = false;
  const server = createServer(
    {
      maxHeaderSize: limits.maxHeaderBytes,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: keepAliveMs,
      noDelay: true,
    },
    (request, response) => {
      const controller = new AbortController();
      if (closing) controller.abort();
      open.add(controller);
      response.once("close", () => {
        open.delete(controller);
        controller.abort();
      });
      void respond(request, response, controller.signal);
    },
  );
  server.maxConnections = limits.maxConnections;
  // Readers wait for many minutes: only the time until a request is here is bounded.
  server.timeout = 0;

  async function respond(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    // A client that goes in the middle is no failure of ours.
    request.on("error", () => {});
    response.on("error", () => {});
    try {
      write(request, response, await answer(request, signal));
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(500, "Internal error");
      if (problem !== error) log.error({ err: error, method: request.method, url: request.url }, "a request failed");
      writeText(response, problem);
    }
    // What is left of a body that nobody wanted.
    request.resume();
  }

  async function answer(request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const method = request.method ?? "GET";
    // A page of another site that reaches this address has an Origin on all that it writes; Consul's clients have none.
    if (method !== "GET" && request.headers.origin !== undefined) throw new Problem(403, "Writes from a web page are refused");
    const { path, query } = parseUrl(request.url ?? "/");
    const { handler, rest } = findRoute(routes, method, path);
    return await handler({ rest, query, signal, body: async () => await readBody(request, limits.maxBodyBytes) });
  }

  function write(request: IncomingMessage, response: ServerResponse, { status, headers, json, html }: Answer): void {
    const isPretty = /[?&]pretty(?:[=&]|$)/.test(request.url ?? "");
    const body = html ?? (json === undefined ? "" : JSON.stringify(json, undefined, isPretty ? 4 : undefined));
    const type = html === undefined ? "application/json" : "text/html; charset=utf-8";
    send(response, status ?? 200, { "Content-Type": type, ...headers }, body);
  }

  function writeText(response: ServerResponse, { status, message, headers }: Problem): void {
    send(response, status, { "Content-Type": "text/plain; charset=utf-8", ...headers }, message);
  }

  function send(response: ServerResponse, status: number, headers: Readonly<Record<string, string>>, body: string): void {
    if (response.headersSent || response.destroyed) return;
    const bytes = Buffer.from(body, "utf8");
    response.writeHead(status, {
      ...headers,
      "Content-Length": bytes.length,
      "X-Consul-Default-ACL-Policy": "allow",
      "X-Content-Type-Options": "nosniff",
      ...(closing ? { Connection: "close" } : {}),
    });
    response.end(bytes);
  }

  return {
    async listen(host, port) {
      server.listen({ host, port });
      await once(server, "listening");
      const address = server.address() as AddressInfo;
      return formatAddress(address.address, address.port);
    },
    async close() {
      closing = true;
      const closed = server.listening ? once(server, "close") : Promise.resolve();
      server.close();
      for (const controller of open) controller.abort();
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), closeGraceMs);
      await closed;
      clearTimeout(cut);
    },
  };
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
