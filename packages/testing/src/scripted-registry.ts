import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Takes a request over. */
export type RegistryFault = (registry: ScriptedRegistry, response: ServerResponse) => void;

/** A registry that answers what a test says. Disposing closes it, and every connection. */
export interface ScriptedRegistry extends AsyncDisposable {
  readonly address: string;
  /** Addresses of the passing instances of the service. */
  readonly entries: readonly string[];
  index: number;
  fault: RegistryFault | undefined;
  /** Services beside it. */
  others: readonly string[];
  addressless: boolean;
  /** Requests so far: of watches, for evidence, and those that a fault took over. */
  readonly queries: number;
  readonly evidence: number;
  readonly faults: number;
  answer(
    response: ServerResponse,
    addresses: readonly string[],
    options?: { readonly index?: number; readonly status?: string },
  ): void;
  replace(addresses: readonly string[], options?: { readonly critical?: readonly string[] }): void;
  /** Answers all who wait, so that they ask again. */
  wake(): void;
}

/** Starts it on a free port of 127.0.0.1. It lists the addresses as passing instances of `service` (default: user). */
export async function startScriptedRegistry(
  addresses: readonly string[],
  { service = "user" }: { readonly service?: string } = {},
): Promise<ScriptedRegistry> {
  let entries = addresses;
  let critical: readonly string[] = [];
  const counts = { queries: 0, evidence: 0, faults: 0 };
  const waiting = new Set<() => void>();

  const toEntry = (address: string, status: string): object => {
    const [host = "", port = ""] = address.split(":");
    return {
      Node: { Address: "10.0.0.1" },
      Service: {
        ID: `${service}-${port}`,
        Address: registry.addressless ? "" : host,
        Port: Number(port),
        Meta: { version: "1" },
        Weights: { Passing: 3, Warning: 1 },
      },
      Checks: [{ CheckID: `service:${service}-${port}`, Status: status }],
    };
  };
  const send = (response: ServerResponse, value: unknown, index: number): void => {
    response.setHeader("x-consul-index", `${index}`).setHeader("content-type", "application/json").end(JSON.stringify(value));
  };
  const route = (url: URL, response: ServerResponse): void => {
    if (url.pathname === "/v1/health/service/product") return send(response, [toEntry("127.0.0.1:9", "passing")], registry.index);
    if (url.pathname === "/v1/catalog/services") {
      const names = ["consul", ...registry.others, ...(entries.length + critical.length > 0 ? [service] : [])];
      return send(response, Object.fromEntries(names.map((name) => [name, name === service ? ["b", "a"] : []])), registry.index);
    }
    const all = entries.map((address) => toEntry(address, "passing"));
    if (!url.searchParams.has("passing")) all.push(...critical.map((address) => toEntry(address, "critical")));
    send(response, all, registry.index);
  };

  const server: Server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "http://registry");
    counts[url.searchParams.has("stale") ? "queries" : "evidence"] += 1;
    if (registry.fault !== undefined) {
      counts.faults += 1;
      registry.fault(registry, response);
      return;
    }
    if (Number(url.searchParams.get("index") ?? 0) < registry.index) return route(url, response);
    const wake = (): void => {
      clearTimeout(timer);
      waiting.delete(wake);
      route(url, response);
    };
    const timer = setTimeout(wake, Number.parseInt(url.searchParams.get("wait") ?? "0", 10));
    waiting.add(wake);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const registry: ScriptedRegistry = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get entries() {
      return entries;
    },
    index: 1_000,
    fault: undefined,
    others: [],
    addressless: false,
    get queries() {
      return counts.queries;
    },
    get evidence() {
      return counts.evidence;
    },
    get faults() {
      return counts.faults;
    },
    answer(response, listed, { index = registry.index, status = "passing" } = {}) {
      send(
        response,
        listed.map((address) => toEntry(address, status)),
        index,
      );
    },
    replace(next, options = {}) {
      entries = next;
      critical = options.critical ?? [];
      registry.index += 1;
      registry.wake();
    },
    wake() {
      for (const wake of waiting) wake();
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return registry;
}

/** What a registry can do wrong with every answer, by how it is told of: `a registry ${key}`. */
export const registryFaults: Readonly<Record<string, RegistryFault>> = {
  "whose index falls with every answer": (registry, response) =>
    registry.answer(response, registry.entries, { index: (registry.index -= 1) }),
  "whose index falls and whose list is empty": (registry, response) =>
    registry.answer(response, [], { index: (registry.index -= 1) }),
  "whose index is 0": (registry, response) => registry.answer(response, [], { index: 0 }),
  "that sends no index": (registry, response) => response.setHeader("content-type", "application/json").end("[]"),
  "that answers at once with what is known": (registry, response) => registry.answer(response, registry.entries),
  "that answers at once with an empty list": (registry, response) =>
    registry.answer(response, [], { index: (registry.index += 1) }),
  "that answers 500": (_, response) => response.writeHead(500).end("rpc error making call"),
  "without leader": (_, response) => response.writeHead(500).end("No cluster leader"),
  "that is overloaded and asks for a second": (_, response) => response.writeHead(429, { "retry-after": "1" }).end("rate limit"),
  "whose leader is overloaded": (_, response) => response.writeHead(503).end("rate limit"),
  "that cuts its JSON off": (registry, response) =>
    response
      .setHeader("x-consul-index", `${(registry.index += 1)}`)
      .setHeader("content-type", "application/json")
      .end('[{"Node":'),
  "that breaks the connection in the middle of an answer": (registry, response) => {
    response.writeHead(200, { "x-consul-index": `${(registry.index += 1)}`, "content-length": "1000" });
    response.write('[{"Node":', () => response.destroy());
  },
  "that answers with a page of HTML": (registry, response) =>
    response
      .setHeader("x-consul-index", `${(registry.index += 1)}`)
      .setHeader("content-type", "text/html")
      .end("<html></html>"),
  "that answers with JSON of another shape": (registry, response) =>
    response.setHeader("x-consul-index", `${(registry.index += 1)}`).end('[{"Service":{"ID":"a"}}]'),
  "that closes every connection": (_, response) => response.destroy(),
};
