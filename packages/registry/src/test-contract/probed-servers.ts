import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { Server } from "node:net";
import type { AddressInfo } from "node:net";

/** A server that is probed by checks. */
export interface ProbedServer extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
}

/** grpc.health.v1 by hand, whose answer a test sets: 1 SERVING, 2 NOT_SERVING; and the services that were asked for. */
export interface HealthServer extends ProbedServer {
  servingStatus: number;
  readonly asked: string[];
}

/** Starts a gRPC server that has the health service and nothing else. */
export async function startHealthServer(servingStatus: number): Promise<HealthServer> {
  const asked: string[] = [];
  const health = { servingStatus, asked };
  const server = createHttp2Server();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    if (headers[":path"] !== "/grpc.health.v1.Health/Check") {
      stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "12" }, { endStream: true });
      return;
    }
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      // After the frame's 5 bytes: field 1, its length, and the name.
      asked.push(Buffer.concat(chunks).subarray(7).toString("utf8"));
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, health.servingStatus]));
    });
  });
  const address = await listen(server);
  const close = async (): Promise<void> => {
    for (const session of sessions) session.destroy();
    server.close();
    await once(server, "close");
  };
  return Object.assign(health, { address, [Symbol.asyncDispose]: close });
}

/** An HTTP server whose status a test sets, and when it was asked. */
export interface WebServer extends ProbedServer {
  status: number;
  /** Times of `performance.now` at which requests came. */
  readonly askedAtMs: number[];
}

/** Starts an HTTP server that answers everything with one status. */
export async function startWebServer(status: number): Promise<WebServer> {
  const askedAtMs: number[] = [];
  const web = { status, askedAtMs };
  const server = createServer((_, response) => {
    askedAtMs.push(performance.now());
    response.writeHead(web.status, { connection: "close" }).end("a body");
  });
  const address = await listen(server);
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return Object.assign(web, { address, [Symbol.asyncDispose]: close });
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
