import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream, ServerOptions } from "node:http2";
import { constants } from "node:http2";
import { createServer } from "node:net";
import type { AddressInfo, Server as NetServer } from "node:net";
import { Server as GrpcServer, ServerCredentials, ServerInterceptingCall } from "@grpc/grpc-js";
import type { ServerInterceptingCallInterface, ServerInterceptor } from "@grpc/grpc-js";
import type { Clock } from "../base/clock.ts";
import { formatAddress } from "../base/endpoint.ts";
import { createRequestIds, readCallHead } from "./call-head.ts";
import type { CallHead } from "./call-head.ts";
import type { ServerConfig } from "./server-config.ts";

/** Where calls are handed to. */
export interface ListenerOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  /** Paths of all methods, each `/package.Service/Method`. */
  readonly paths: Iterable<string>;
  /** Takes over a call. `path` is undefined when it is none of `paths`. */
  onCall(path: string | undefined, base: ServerInterceptingCallInterface, head: CallHead): void;
}

/** A gRPC server that listens. */
export interface Listener {
  readonly port: number;
  /**
   * Takes no further connections and tells the open ones to go (GOAWAY); calls in flight go on, and so do those that were
   * sent before their caller had heard of it. Resolves when every connection is closed.
   */
  goAway(): Promise<void>;
  /** Closes what is left, at once. */
  close(): void;
}

/**
 * RST_STREAM frames that a connection may send: 10,000, then 10,000 a second. Node closes the whole connection after
 * 1,000 and 33 a second, which a few hundred expired deadlines a second reach; their neighbours' calls then fail
 * (grpc-node issue 2625). Callers are services of the mesh, so the flood that the limit is for is not expected here.
 */
export const streamResetLimit = { streamResetBurst: 10_000, streamResetRate: 10_000 } as const;

/** Within this time a connection has to have said that it speaks HTTP/2. */
const prefaceTimeoutMs = 10_000;

/** How long after the first GOAWAY calls that were on their way are still taken. */
const goAwayGraceMs = 100;

/** A path that grpc-js knows a handler for, and that no client can send: the method there is not. */
const unknownPath = "unknown";

/** What of grpc-js' server is used that its types do not name. `listener.test.ts` notices when it moves. */
interface GrpcServerParts {
  readonly commonServerOptions?: ServerOptions & Partial<typeof streamResetLimit>;
  readonly http2Servers?: ReadonlyMap<Http2Server, unknown>;
}

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** Listens for gRPC in plaintext. Throws an error that names the address when it cannot be listened on. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { config, clock } = options;
  const sessions = new Set<ServerHttp2Session>();
  const peers = new WeakMap<ServerHttp2Session, string>();
  const paths = new Set(options.paths);
  const newId = createRequestIds();
  // grpc-js builds a call and asks its interceptors within one stream event: what that event said is kept for them here.
  let incoming: { readonly path: string | undefined; readonly head: CallHead } | undefined;

  const intercept: ServerInterceptor = (_definition, base) => {
    if (incoming !== undefined) options.onCall(incoming.path, base, incoming.head);
    // The call has been taken over; grpc-js' own handling of it never starts.
    return new ServerInterceptingCall(base, { start: () => {} });
  };
  const grpc = createGrpcServer(config, intercept);
  for (const path of [...paths, unknownPath]) grpc.register(path, () => {}, asIs, asIs, "unary");
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const { http2, deliver } = takeStreams(grpc);

  http2.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const known = paths.has(headers[":path"] ?? "");
    const session = stream.session as ServerHttp2Session;
    incoming = {
      path: known ? headers[":path"] : undefined,
      head: readCallHead(headers, peers.get(session) ?? "unknown", newId),
    };
    // grpc-js gets what it needs to read messages. `grpc-timeout` is not among it: the deadline is the pipeline's.
    deliver.call(http2, stream, {
      ":path": known ? headers[":path"] : unknownPath,
      ":authority": headers[":authority"],
      "content-type": isGrpc(headers["content-type"]) ? headers["content-type"] : "unsupported",
      ...(headers["grpc-encoding"] === undefined ? {} : { "grpc-encoding": headers["grpc-encoding"] }),
    });
    incoming = undefined;
  });
  http2.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    const { remoteAddress, remotePort } = session.socket;
    if (remoteAddress !== undefined) peers.set(session, formatAddress(remoteAddress, remotePort ?? 0));
    const stop = clock.after(prefaceTimeoutMs, () => session.destroy());
    session.once("remoteSettings", stop);
    session.once("close", () => {
      stop();
      sessions.delete(session);
    });
  });

  const net = createServer({ noDelay: true }, (socket) => injector.injectConnection(socket));
  await listenOn(net, config.listenHost, config.listenPort);

  return {
    port: (net.address() as AddressInfo).port,
    async goAway() {
      net.close();
      await Promise.all([...sessions].map((session) => closeGracefully(session, clock)));
    },
    close() {
      net.close();
      for (const session of sessions) session.destroy();
      grpc.forceShutdown();
    },
  };
}

/** Listens on an address. Throws an error that names it, with the cause. */
export async function listenOn(server: NetServer, host: string, port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (error: NodeJS.ErrnoException) => {
    const why = error.code === "EADDRINUSE" ? "the address is in use by another process" : error.message;
    reject(new Error(`cannot listen on ${formatAddress(host, port)}: ${why}`, { cause: error }));
  });
  server.listen({ host, port }, resolve);
  await promise;
  server.removeAllListeners("error");
}

function createGrpcServer(config: ServerConfig, interceptor: ServerInterceptor): GrpcServer {
  const grpc = new GrpcServer({
    interceptors: [interceptor],
    "grpc.max_receive_message_length": config.maxMessageBytes,
    "grpc.max_concurrent_streams": config.maxConcurrentStreams,
    "grpc.keepalive_time_ms": config.keepaliveTimeMs,
    "grpc.keepalive_timeout_ms": config.keepaliveTimeoutMs,
    "grpc.enable_channelz": 0,
  });
  const { commonServerOptions } = grpc as unknown as GrpcServerParts;
  if (commonServerOptions === undefined) throw moved("commonServerOptions");
  Object.assign(commonServerOptions, streamResetLimit, {
    settings: { ...commonServerOptions.settings, maxHeaderListSize: config.maxHeaderBytes },
  });
  return grpc;
}

/** Puts us between HTTP/2 and grpc-js: `deliver` hands a stream on to grpc-js. */
function takeStreams(grpc: GrpcServer): { readonly http2: Http2Server; readonly deliver: StreamListener } {
  const [http2] = (grpc as unknown as GrpcServerParts).http2Servers?.keys() ?? [];
  const [deliver] = http2?.listeners("stream") ?? [];
  if (http2 === undefined || deliver === undefined) throw moved("http2Servers");
  http2.removeAllListeners("stream");
  return { http2, deliver: deliver as StreamListener };
}

function moved(part: string): Error {
  return new Error(`this version of @grpc/grpc-js has moved ${part}: use the version that @protoloom/mesh names`);
}

/**
 * The GOAWAY in two steps of grpc-go and grpc-java: one that still admits the streams that are on their way, then the one
 * that closes. Theirs has a ping between the two; nghttp2 sends none on a connection without streams after a GOAWAY.
 */
async function closeGracefully(session: ServerHttp2Session, clock: Clock): Promise<void> {
  if (session.destroyed) return;
  const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
  session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
  const stop = clock.after(goAwayGraceMs, () => session.close());
  await closed;
  stop();
}

/** `application/grpc`, alone or with a format behind `+`. */
function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:$|[+;])/.test(contentType);
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
