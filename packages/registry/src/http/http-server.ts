import { formatAddress } from "@protoloom/mesh/process";
import type { Logger } from "@protoloom/mesh/process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { RouteTable } from "./exchange.ts";
import { createResponder } from "./responder.ts";

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

/** Serves routes within limits. */
export function createHttpServer(table: RouteTable, log: Logger, limits: HttpLimits = defaultHttpLimits): HttpServer {
  const respond = createResponder(table, { log, maxBodyBytes: limits.maxBodyBytes, isClosing: () => closing });
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
