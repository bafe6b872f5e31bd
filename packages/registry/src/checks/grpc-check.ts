import { once } from "node:events";
import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import type { ProbeTls } from "../state/check-record.ts";
import { decodeHealthStatus, encodeHealthRequest } from "./health-message.ts";
import { parseTarget } from "./parse-target.ts";
import type { ProbeResult } from "./probe-result.ts";

/** How a gRPC server is asked. */
export interface GrpcCheckOptions {
  /** Name in grpc.health.v1; empty: the whole server. */
  readonly service: string;
  readonly tls: ProbeTls | undefined;
  /** Goes to the server as grpc-timeout; the signal is what ends the wait. */
  readonly timeoutMs: number;
}

/** Longest answer that is read: a HealthCheckResponse has 2 bytes. */
const maxAnswerBytes = 1_024;

/**
 * Asks `host:port` by grpc.health.v1.Health/Check, over a connection of its own, so that a connection that has gone bad is
 * found: SERVING is passing, everything else critical. Rejects when there is no answer, or with the signal's reason.
 */
export async function checkGrpc(target: string, options: GrpcCheckOptions, signal: AbortSignal): Promise<ProbeResult> {
  const { host, port } = parseTarget(target);
  const session = open(host, port, options.tls);
  // Reported by the stream, or by the connect that fails; later ones are of no interest, but have to be heard.
  session.on("error", () => {});
  const onAbort = (): void => session.destroy(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    await once(session, "connect");
    return await ask(session, target, options);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    session.destroy();
  }
}

function open(host: string, port: number, tls: ProbeTls | undefined): ClientHttp2Session {
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (tls === undefined) return connect(`http://${authority}`);
  return connect(`https://${authority}`, {
    rejectUnauthorized: !tls.skipVerify,
    ...(tls.serverName === "" ? {} : { servername: tls.serverName }),
  });
}

async function ask(session: ClientHttp2Session, target: string, { service, timeoutMs }: GrpcCheckOptions): Promise<ProbeResult> {
  const stream = session.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    te: "trailers",
    "content-type": "application/grpc",
    "user-agent": "protoloom-registry",
    "grpc-timeout": `${Math.ceil(timeoutMs)}m`,
  });
  stream.end(encodeHealthRequest(service));
  let trailers: IncomingHttpHeaders = {};
  stream.on("trailers", (received: IncomingHttpHeaders) => (trailers = received));
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  const body = await readAll(stream);
  const code = trailers["grpc-status"] ?? headers["grpc-status"];
  const said = (output: string): ProbeResult => ({ status: "critical", output: `gRPC check ${target}: ${output}` });
  const httpStatus = Number(headers[":status"]);
  if (httpStatus !== 200 || code === undefined) return said(`HTTP ${httpStatus}, no gRPC`);
  if (code !== "0")
    return said(`status ${String(code)} ${String(trailers["grpc-message"] ?? headers["grpc-message"] ?? "")}`.trimEnd());
  const status = decodeHealthStatus(body);
  return status === "SERVING" ? { status: "passing", output: `gRPC check ${target}: success` } : said(status);
}

async function readAll(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new Error(`an answer of more than ${maxAnswerBytes} bytes`);
  }
  return Buffer.concat(chunks);
}
