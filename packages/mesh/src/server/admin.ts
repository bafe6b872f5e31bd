import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { formatAddress } from "../base/endpoint.ts";
import { listenOn } from "./listener.ts";

/** What the admin listener says of a process. */
export interface AdminAnswer {
  readonly status: number;
  readonly body: object;
}

/** One page of the admin listener, by its path. */
export type AdminRoutes = Readonly<Record<string, () => AdminAnswer>>;

/** The admin listener: for the operator of this machine, never for callers of the service. */
export interface Admin extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
}

/** The admin listener is for this machine alone. */
const adminHost = "127.0.0.1";

/** Listens on 127.0.0.1. Answers GET (and HEAD) of the given paths in JSON; everything else is 404 or 405. */
export async function createAdmin(port: number, routes: AdminRoutes): Promise<Admin> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 5_000 }, (request, response) => {
    // Nothing here takes a body.
    request.resume();
    send(request, response, answer(request, routes));
  });
  await listenOn(server, adminHost, port);
  return {
    address: formatAddress(adminHost, (server.address() as AddressInfo).port),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer(request: IncomingMessage, routes: AdminRoutes): AdminAnswer {
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return { status: 404, body: { error: "not found", paths: Object.keys(routes) } };
  if (request.method !== "GET" && request.method !== "HEAD") return { status: 405, body: { error: "only GET is allowed" } };
  return route();
}

function send(request: IncomingMessage, response: ServerResponse, { status, body }: AdminAnswer): void {
  response.writeHead(status, {
    "content-type": "application/json",
    "cache-control": "no-store",
    ...(status === 405 ? { allow: "GET, HEAD" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : `${JSON.stringify(body)}\n`);
}
