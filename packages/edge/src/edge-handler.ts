import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Clock, Logger, Meter } from "@protoloom/mesh";
import { baseRegistry } from "./catalogue/contract.ts";
import type { RoutingTable, RpcRoute } from "./catalogue/routing-table.ts";
import { toConnectError } from "./rpc/connect-error.ts";
import { HttpFault, methodNotAllowed, notLoaded, unknownPath } from "./errors/request-error.ts";
import type { Exchange } from "./http/exchange.ts";
import type { HttpHandlers } from "./http/server.ts";
import { answerRestError, serveRest } from "./rest/rest-handler.ts";
import type { RestContext } from "./rest/rest-handler.ts";
import { serveClientStream, serveServerStream } from "./rest/rest-stream.ts";
import { parseTarget } from "./routing/raw-path.ts";
import type { Target } from "./routing/raw-path.ts";
import { answerConnectError } from "./rpc/connect-unary.ts";
import { serveUniversal } from "./rpc/universal.ts";

/** What requests are answered with. */
export interface EdgeHandlerContext {
  readonly table: () => RoutingTable;
  /** True once the first table is there; until then an unknown path may become a known one. */
  readonly isLoaded: () => boolean;
  /** True when the edge takes requests: its first table is loaded, and it does not drain. */
  readonly isReady: () => boolean;
  readonly rest: RestContext;
  /** Services of the edge itself, by path. */
  readonly own: ReadonlyMap<string, UniversalHandler>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

type Serving = { readonly rpc: string; readonly done: Promise<void>; readonly fail: (thrown: unknown) => void };

/** Answers every request of the edge, and writes one line of log for each. */
export function createEdgeHandler(context: EdgeHandlerContext): HttpHandlers {
  const record = (exchange: Exchange, startedMs: number, rpc: string): void => {
    const durationMs = Math.round((context.clock.monotonicMs() - startedMs) * 100) / 100;
    const { method, status, peer, requestId } = exchange;
    const mark = exchange.target.indexOf("?");
    // A query may hold secrets: it stays out of the log.
    const path = mark < 0 ? exchange.target : exchange.target.slice(0, mark);
    context.logger.info({ method, path: path.slice(0, 512), rpc, status, durationMs, peer, requestId }, "request");
    context.meter.count("mesh_edge_requests_total", { rpc, status: String(status) });
    context.meter.record("mesh_edge_request_duration_ms", durationMs, { rpc });
  };
  const fail = (exchange: Exchange, serving: Omit<Serving, "done">, thrown: unknown): void => {
    const fields = { rpc: serving.rpc, requestId: exchange.requestId };
    if (!isExpected(thrown)) context.logger.error({ ...fields, err: thrown }, "a request has failed in the edge");
    try {
      if (exchange.status === 0) serving.fail(thrown);
      else exchange.abandon();
    } catch (error) {
      context.logger.error({ ...fields, err: error }, "an error could not be answered");
      exchange.abandon();
    }
  };
  const refuse = (exchange: Exchange, thrown: unknown, startedMs: number): void => {
    fail(exchange, { rpc: "", fail: (error) => answerRestError(exchange, error, baseRegistry) }, thrown);
    record(exchange, startedMs, "");
  };
  return {
    handle(exchange) {
      const startedMs = context.clock.monotonicMs();
      let serving: Serving;
      try {
        serving = route(exchange, context);
      } catch (error) {
        refuse(exchange, error, startedMs);
        return;
      }
      const { rpc, done } = serving;
      done.then(
        () => record(exchange, startedMs, rpc),
        (error: unknown) => {
          fail(exchange, serving, error);
          record(exchange, startedMs, rpc);
        },
      );
    },
    refuse: (exchange, fault) => refuse(exchange, fault, context.clock.monotonicMs()),
  };
}

/** Errors that carry a status are answers; anything else is a fault of the edge. */
function isExpected(error: unknown): boolean {
  return error instanceof HttpFault || (error instanceof Error && (error.name === "MeshError" || error.name === "ConnectError"));
}

const nothing = Promise.resolve();

/** A rule on a bidirectional stream is refused when it is compiled. */
const restHandlers = {
  unary: serveRest,
  server_streaming: serveServerStream,
  client_streaming: serveClientStream,
  bidi_streaming: serveRest,
} as const;

/** Chooses who answers. Throws what is wrong with the request. */
function route(exchange: Exchange, context: EdgeHandlerContext): Serving {
  const target = parseTarget(exchange.target);
  const table = context.table();
  const rpc = table.rpc.get(target.path);
  if (rpc !== undefined) return serveRpc(exchange, rpc, target);
  const own = context.own.get(target.path);
  if (own !== undefined)
    return {
      rpc: target.path.slice(1),
      done: serveUniversal(exchange, own),
      fail: (thrown) => answerRestError(exchange, thrown, baseRegistry),
    };
  if (target.path === "/healthz" || target.path === "/readyz") {
    serveProbe(exchange, target, context);
    return { rpc: target.path.slice(1), done: nothing, fail: () => {} };
  }
  if (isGrpc(exchange.headers["content-type"])) {
    refuseGrpc(exchange, target);
    return { rpc: "", done: nothing, fail: () => {} };
  }
  const found = table.rest.find(exchange.method, target.path);
  if (found.kind === "unknown") throw context.isLoaded() ? unknownPath() : notLoaded();
  if (found.kind === "refused") {
    if (exchange.method === "OPTIONS") {
      exchange.respond(204, { allow: found.allow });
      return { rpc: "", done: nothing, fail: () => {} };
    }
    throw methodNotAllowed(found.allow);
  }
  const { method } = found.value;
  return {
    rpc: method.path.slice(1),
    done: restHandlers[method.descriptor.methodKind](exchange, found, target.query, context.rest),
    fail: (thrown) => answerRestError(exchange, thrown, method.registry),
  };
}

function serveRpc(exchange: Exchange, { method, unary, stream }: RpcRoute, { query }: Target): Serving {
  const rpc = method.path.slice(1);
  const contentType = exchange.headers["content-type"];
  if (unary !== undefined && !isGrpc(contentType)) {
    return { rpc, done: unary.serve(exchange, query), fail: (thrown) => answerConnectError(exchange, thrown, method) };
  }
  if (exchange.method !== "POST") throw methodNotAllowed("POST");
  return {
    rpc,
    done: stream(exchange),
    fail: (thrown) => answerConnectError(exchange, toConnectError(thrown).cause ?? thrown, method),
  };
}

/** application/grpc, gRPC-Web, and both with a codec. */
function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && contentType.startsWith("application/grpc");
}

/** gRPC learns of an unknown method by a status in the trailers, which is all there is (gRPC over HTTP/2, "Trailers-Only"). */
function refuseGrpc(exchange: Exchange, { path }: Target): void {
  exchange.respond(200, {
    "content-type": exchange.headers["content-type"] ?? "application/grpc",
    "grpc-status": "12",
    "grpc-message": encodeURIComponent(`${path.slice(0, 256)} is not served here`.toWellFormed()),
  });
}

function serveProbe(exchange: Exchange, { path }: Target, context: EdgeHandlerContext): void {
  if (exchange.method !== "GET" && exchange.method !== "HEAD") throw methodNotAllowed("GET, HEAD");
  const isReady = context.isReady();
  const services = context.table().contracts.map(({ service, services: contracts }) => ({
    name: service,
    services: contracts
      .map(({ typeName }) => typeName)
      .filter((name) => context.table().methods.some(({ descriptor }) => descriptor.parent.typeName === name)),
  }));
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  if (path === "/healthz") exchange.respond(200, headers, JSON.stringify({ status: "alive" }));
  else if (isReady) exchange.respond(200, headers, JSON.stringify({ status: "ready", services }));
  else exchange.respond(503, { ...headers, "retry-after": "1" }, JSON.stringify({ status: "not ready", services }));
}
