import { EventEmitter } from "node:events";
import http from "node:http";
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, RequestOptions } from "node:http";
import https from "node:https";
import Consul from "consul";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { fromConsul } from "./from-consul.ts";

/** One request to the registry. */
export interface RegistryRequest {
  readonly method: "GET" | "PUT";
  /** Path below `/v1` with `{names}` of `params`, which are encoded. */
  readonly path: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** The longest wait for the whole answer, in ms. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** An answer with a 2xx status. */
export interface RegistryAnswer {
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array | undefined;
}

/** Carries requests to the registry, over connections that stay open. */
export interface RegistryTransport extends AsyncDisposable {
  /** Rejects with the signal's reason, or with the MeshError that `fromConsul` makes. */
  request(request: RegistryRequest): Promise<RegistryAnswer>;
}

/** The part of a request that the `consul` package hands to extensions, none of which its types describe. */
interface PipelineRequest {
  readonly req: RequestOptions;
  transport: { request(options: RequestOptions): ClientRequest };
}

/** The `consul` package's calls for requests that it has no method for. */
interface RawConsul {
  _request(options: Record<string, unknown>): Promise<{ headers: IncomingHttpHeaders; body?: Uint8Array }>;
  _ext(event: "onRequest", extension: (request: PipelineRequest, next: () => void) => void): void;
}

/**
 * The `consul` package as transport: its agent, its encoding, its errors. Added are cancellation by AbortSignal, a bound on
 * every request, and an end to answers that break off, for which the package waits.
 */
export function createRegistryTransport(address: string, token: string | undefined): RegistryTransport {
  const { Agent } = address.startsWith("https:") ? https : http;
  const agent = new Agent({ keepAlive: true });
  const options = { baseUrl: new URL("/v1", address), agent, headers: token === undefined ? {} : { "x-consul-token": token } };
  const raw = new Consul(options) as unknown as RawConsul;
  raw._ext("onRequest", mendRequest);
  const open = new Set<EventEmitter>();
  let closed = false;

  return {
    async request({ method, path, params = {}, query = {}, body, timeoutMs, signal }) {
      signal?.throwIfAborted();
      if (closed) throw new MeshError(Code.CANCELLED, `registry: ${method} ${path}: the client is closed`);
      const ctx = new EventEmitter();
      const cancel = (): void => void ctx.emit("cancel");
      signal?.addEventListener("abort", cancel, { once: true });
      open.add(ctx);
      try {
        const content = body === undefined ? {} : { body };
        const answer = await raw._request({ method, path, params, query, ...content, buffer: true, timeout: timeoutMs, ctx });
        return { headers: answer.headers, body: answer.body };
      } catch (error) {
        signal?.throwIfAborted();
        throw fromConsul(error, `${method} ${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "")}`);
      } finally {
        signal?.removeEventListener("abort", cancel);
        open.delete(ctx);
      }
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      for (const ctx of open) ctx.emit("cancel");
      agent.destroy();
    },
  };
}

/**
 * The package passes an IPv6 host with its brackets, which no resolver knows, and listens for the end of an answer but not
 * for its breaking off: the request would last until its timeout.
 */
function mendRequest(request: PipelineRequest, next: () => void): void {
  const { hostname } = request.req;
  if (typeof hostname === "string") request.req.hostname = hostname.replaceAll(/^\[|\]$/g, "");
  const { transport } = request;
  request.transport = {
    request(options) {
      const outgoing = transport.request(options);
      outgoing.once("response", (incoming: IncomingMessage) => incoming.once("error", (error) => outgoing.emit("error", error)));
      return outgoing;
    },
  };
  next();
}
