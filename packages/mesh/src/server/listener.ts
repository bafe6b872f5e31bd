import { constants, createServer as createHttp2Server } from "node:http2";
import type {
  Http2Server,
  Http2Session,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
  ServerOptions,
} from "node:http2";
import { createServer as createNetServer } from "node:net";
import type { AddressInfo, Server as NetServer } from "node:net";
import type { Clock } from "../base/clock.ts";
import { formatAddress } from "../base/endpoint.ts";
import { isGrpcContent } from "../rpc/headers.ts";
import { CallHead } from "./call-head.ts";
import { IncomingCall } from "./incoming-call.ts";
import type { ServerConfig } from "./server-config.ts";
import { watchPeer } from "./watch-peer.ts";

/** Where calls are handed to. */
export interface ListenerOptions {
  readonly config: ServerConfig;
  readonly clock: Clock;
  /** Takes over a call of the method at `path`, `/package.Service/Method` if the caller knows what it does. */
  onCall(path: string, call: IncomingCall): void;
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

/**
 * HTTP/2 window of a connection: 4 MiB, for 64 streams that send as fast as their own windows allow. nghttp2 gives what there is
 * to the oldest stream first: with the 64 KiB of the protocol, 20 uploads kept a call beside them waiting for a second.
 */
const connectionWindowBytes = 4_194_304;

/** Listens for gRPC in plaintext. Throws an error that names the address when it cannot be listened on. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { config, clock } = options;
  /** The open connections, each with the address of its caller. */
  const sessions = new Map<Http2Session, string>();
  const http2 = createSessions(config);

  http2.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const status = refusalStatus(headers);
    if (status !== undefined) {
      stream.on("error", () => {}); // Of an answer that nobody waits for any more.
      if (!stream.destroyed) stream.respond({ ":status": status }, { endStream: true });
      return;
    }
    const peer = (stream.session && sessions.get(stream.session)) ?? "unknown";
    const call = new IncomingCall(stream, new CallHead(headers, peer), config.maxMessageBytes);
    options.onCall(headers[":path"] ?? "", call);
  });
  http2.on("session", (session: ServerHttp2Session) => {
    const { remoteAddress, remotePort } = session.socket;
    sessions.set(session, remoteAddress === undefined ? "unknown" : formatAddress(remoteAddress, remotePort ?? 0));
    session.setLocalWindowSize(connectionWindowBytes);
    const stopPreface = clock.after(prefaceTimeoutMs, () => session.destroy());
    session.once("remoteSettings", stopPreface);
    const stopWatch = watchPeer(session, { clock, timeMs: config.keepaliveTimeMs, timeoutMs: config.keepaliveTimeoutMs });
    session.once("close", () => {
      stopPreface();
      stopWatch();
      sessions.delete(session);
    });
  });
  // The server of node:http2 closes its sessions when it stops listening, with a GOAWAY that leaves out what is on its way.
  const net = createNetServer({ noDelay: true }, (socket) => http2.emit("connection", socket));
  await listenOn(net, config.listenHost, config.listenPort);

  return {
    port: (net.address() as AddressInfo).port,
    async goAway() {
      net.close();
      await Promise.all([...sessions.keys()].map((session) => closeGracefully(session, clock)));
    },
    close() {
      net.close();
      for (const session of sessions.keys()) session.destroy();
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

function createSessions(config: ServerConfig): Http2Server {
  const options: ServerOptions & typeof streamResetLimit & { readonly strictSingleValueFields: boolean } = {
    ...streamResetLimit,
    // In megabytes. node:http2 refuses streams above it; windows and the limits of a call bound the memory here.
    maxSessionMemory: 4_096,
    // Metadata may repeat any name.
    strictSingleValueFields: false,
    settings: {
      enablePush: false,
      maxConcurrentStreams: config.maxConcurrentStreams,
      maxHeaderListSize: config.maxHeaderBytes,
    },
  };
  return createHttp2Server(options);
}

/** The HTTP status of what is no call of gRPC (PROTOCOL-HTTP2.md), or undefined for a call. */
function refusalStatus(headers: IncomingHttpHeaders): number | undefined {
  if (headers[":method"] !== "POST") return constants.HTTP_STATUS_METHOD_NOT_ALLOWED;
  return isGrpcContent(headers["content-type"]) ? undefined : constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE;
}

/**
 * The GOAWAY in two steps of grpc-go and grpc-java: one that still admits the streams that are on their way, then the one
 * that closes. Theirs has a ping between the two; nghttp2 sends none on a connection without streams after a GOAWAY.
 */
async function closeGracefully(session: Http2Session, clock: Clock): Promise<void> {
  if (session.destroyed) return;
  const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
  session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
  const stop = clock.after(goAwayGraceMs, () => session.close());
  await closed;
  stop();
}
