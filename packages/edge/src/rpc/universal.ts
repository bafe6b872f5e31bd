import type { OutgoingHttpHeaders } from "node:http";
import { createContextKey, createContextValues } from "@connectrpc/connect";
import type { ContextKey } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Exchange } from "../http/exchange.ts";

/** The request behind a call of Connect's handlers. */
export const exchangeKey: ContextKey<Exchange | undefined> = createContextKey<Exchange | undefined>(undefined, {
  description: "exchange",
});

/**
 * Serves a request with one of Connect's handlers. The URL is built here from parts that cannot fail: Connect's own adapter throws
 * outside of every handler for an unusual Host.
 */
export async function serveUniversal(exchange: Exchange, handler: UniversalHandler): Promise<void> {
  const contextValues = createContextValues().set(exchangeKey, exchange);
  const answer = await handler({
    httpVersion: exchange.version,
    method: exchange.method,
    url: `http://edge${exchange.target}`,
    header: toWebHeaders(exchange),
    body: exchange.body,
    signal: exchange.signal,
    contextValues,
  });
  await send(exchange, answer);
}

function toWebHeaders({ headers }: Exchange): Headers {
  const web = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":")) continue;
    for (const each of [value ?? []].flat()) web.append(name, each);
  }
  return web;
}

function toNodeHeaders(web: Headers | undefined): OutgoingHttpHeaders {
  const headers: Record<string, string> = {};
  web?.forEach((value, name) => {
    headers[name] = value;
  });
  return headers;
}

async function send(exchange: Exchange, { status, header, body, trailer }: UniversalServerResponse): Promise<void> {
  const headers = toNodeHeaders(header);
  if (body === undefined) {
    exchange.respond(status, headers);
    return;
  }
  exchange.start(status, headers, { trailers: trailer !== undefined });
  for await (const chunk of body) await exchange.write(chunk);
  exchange.finish(trailer && toNodeHeaders(trailer));
}
