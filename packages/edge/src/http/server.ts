import { createServer as createHttp1Server } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server as Http1Server, ServerResponse } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { Http2Server, Http2Session, ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { once } from "node:events";
import { Code, MeshError } from "@protoloom/mesh";
import { HttpFault, malformedRequest, tooLarge } from "../errors/request-error.ts";
import type { Exchange } from "./exchange.ts";
import { createHostCheck } from "./host.ts";
import { createHttp1Exchange } from "./http1-exchange.ts";
import { createHttp2Exchange } from "./http2-exchange.ts";
import { maxHeaderFields } from "./limits.ts";
import type { HttpLimits } from "./limits.ts";
import { sniffProtocol } from "./sniff.ts";

/** What the server hands its requests to. Neither function may throw or reject. */
export interface HttpHandlers {
  handle(exchange: Exchange): void;
  /** Answers a request that breaks a rule of HTTP or a limit. */
  refuse(exchange: Exchange, fault: HttpFault): void;
}

/** One port that speaks HTTP/1.1 and HTTP/2 without TLS. */
export interface HttpServer {
  /** The port that is listened on. */
  readonly port: number;
  /** Ends each HTTP/1.1 connection with its next answer: a client that keeps connections is told before one is closed on it. */
  retire(): void;
  /** Accepts no more connections, lets open requests finish, closes. Cuts off what is still open when `signal` aborts. */
  close(signal: AbortSignal): Promise<void>;
}

/** Starts to listen. Rejects when the address is taken. */
export async function listen(
  address: { readonly host: string; readonly port: number },
  handlers: HttpHandlers,
  limits: HttpLimits,
): Promise<HttpServer> {
  const check = createRequestCheck(limits);
  let isRetired = false;
  const http1 = createHttp1(limits, (request, response) => {
    if (isRetired) response.shouldKeepAlive = false;
    const exchange = createHttp1Exchange(request, response, limits);
    const fault = check(exchange, request.rawHeaders);
    if (fault === undefined) handlers.handle(exchange);
    else handlers.refuse(exchange, fault);
  });
  const sessions = new Map<Http2Session, string>();
  const http2 = createHttp2(limits, sessions, (stream, headers) => {
    const exchange = createHttp2Exchange(stream, headers, {
      stallTimeoutMs: limits.stallTimeoutMs,
      peer: (stream.session && sessions.get(stream.session)) ?? "",
    });
    const fault = check(exchange, undefined);
    if (fault === undefined) handlers.handle(exchange);
    else handlers.refuse(exchange, fault);
  });
  const sockets = new Set<Socket>();
  const takeHttp1 = http1.listeners("connection")[0] as (socket: Socket) => void;
  http1.removeAllListeners("connection");
  http1.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    sniffProtocol(socket, limits.headersTimeoutMs, (protocol) => {
      if (protocol === "http2") http2.emit("connection", socket);
      else takeHttp1.call(http1, socket);
    });
  });
  http1.listen({ host: address.host, port: address.port, backlog: 1_024 });
  await once(http1, "listening");
  return {
    port: (http1.address() as AddressInfo).port,
    retire() {
      isRetired = true;
    },
    async close(signal) {
      const closed = once(http1, "close");
      const cut = (): void => {
        for (const socket of sockets) socket.destroy();
      };
      http1.close();
      for (const session of sessions.keys()) session.close();
      if (signal.aborted) cut();
      signal.addEventListener("abort", cut, { once: true });
      try {
        await closed;
      } finally {
        signal.removeEventListener("abort", cut);
      }
    },
  };
}

function createHttp1(limits: HttpLimits, onRequest: (request: IncomingMessage, response: ServerResponse) => void): Http1Server {
  const server = createHttp1Server({
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
    // The check of ours answers with an error of the usual form.
    requireHostHeader: false,
    noDelay: true,
  });
  server.maxHeadersCount = 0;
  server.on("request", onRequest);
  server.on("clientError", answerClientError);
  return server;
}

const clientErrors: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** What Node could not parse has no request: a bare status, and the connection ends. */
function answerClientError(error: Error & { readonly code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const status = clientErrors[error.code ?? ""] ?? "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
}

function createHttp2(
  limits: HttpLimits,
  sessions: Map<Http2Session, string>,
  onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
): Http2Server {
  const server = createHttp2Server({
    maxHeaderListPairs: maxHeaderFields + 8,
    settings: { maxConcurrentStreams: limits.maxStreams, maxHeaderListSize: limits.maxHeaderBytes, enablePush: false },
    maxSessionRejectedStreams: limits.maxStreams,
  });
  server.on("session", (session) => {
    // Asked later, the socket of a session that has ended throws.
    sessions.set(session, `${session.socket.remoteAddress ?? ""}:${session.socket.remotePort ?? 0}`);
    session.setLocalWindowSize(limits.connectionWindowBytes);
    session.once("close", () => sessions.delete(session));
    // The session ends with its error; its streams are told by `aborted`.
    session.on("error", () => {});
    session.setTimeout(limits.keepAliveTimeoutMs, () => session.close());
  });
  server.on("sessionError", () => {});
  server.on("stream", onStream);
  return server;
}

/** Checks what HTTP demands of every request, and the limits of its head. */
function createRequestCheck(
  limits: HttpLimits,
): (exchange: Exchange, rawHeaders: readonly string[] | undefined) => HttpFault | undefined {
  const hasValidHost = createHostCheck();
  return ({ headers, target }, rawHeaders) => {
    if (!hasValidHost(headers, rawHeaders))
      return new HttpFault(400, malformedRequest("the request names no valid host, or several"));
    if (target.length > limits.maxUrlBytes)
      return new HttpFault(414, tooLarge(`the URL is longer than ${limits.maxUrlBytes} bytes`));
    // The size of the section is Node's to bound, for HTTP/2 with the number of its fields.
    if (rawHeaders !== undefined && rawHeaders.length > 2 * maxHeaderFields) {
      return new HttpFault(431, tooLarge(`the header section has more than ${maxHeaderFields} fields`));
    }
    if (!target.startsWith("/")) return new HttpFault(400, malformedRequest("the target of the request is no path"));
    return headers.upgrade === "websocket"
      ? new HttpFault(501, new MeshError(Code.UNIMPLEMENTED, "there are no web sockets here"))
      : undefined;
  };
}
