import { once } from "node:events";
import { createServer } from "node:http2";
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream, ServerOptions } from "node:http2";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo, Server as TcpServer, Socket } from "node:net";
import { createEndpoint } from "../../base/endpoint.ts";
import type { Endpoint } from "../../base/endpoint.ts";

/** A peer that does exactly what a test says, HTTP/2 frame by frame. */
export interface RawServer extends AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly sessions: readonly ServerHttp2Session[];
}

/** What the server does with a stream. */
export type RawHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** Starts an HTTP/2 server without any gRPC. */
export async function startRawServer(
  handler: RawHandler,
  { port = 0, ...options }: ServerOptions & { readonly port?: number } = {},
): Promise<RawServer> {
  const server = createServer(options);
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => {
    sessions.push(session);
    session.on("error", () => {}); // Clients that break off are part of these tests.
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    handler(stream, headers);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: createEndpoint("127.0.0.1", (server.address() as AddressInfo).port),
    sessions,
    async [Symbol.asyncDispose]() {
      for (const session of sessions as readonly Http2Session[]) session.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A TCP server that accepts and says nothing. */
export async function startSilentServer(): Promise<AsyncDisposable & { readonly endpoint: Endpoint; readonly accepted: number }> {
  const sockets = new Set<Socket>();
  const server: TcpServer = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: createEndpoint("127.0.0.1", (server.address() as AddressInfo).port),
    get accepted() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A message with gRPC's prefix; `flag` 1 says compressed. */
export function frame(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Answers with headers, these bytes and trailers. */
export function answer(
  stream: ServerHttp2Stream,
  body: Uint8Array | readonly Uint8Array[],
  {
    headers = {},
    trailers = { "grpc-status": "0" },
  }: { readonly headers?: Record<string, string>; readonly trailers?: Record<string, string> } = {},
): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc", ...headers }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  const parts = body instanceof Uint8Array ? [body] : body;
  for (const part of parts) stream.write(part);
  stream.end();
}
