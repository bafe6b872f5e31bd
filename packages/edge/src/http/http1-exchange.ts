import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { callerGone } from "@protoloom/mesh";
import { tooLarge } from "../errors/request-error.ts";
import type { Exchange } from "./exchange.ts";
import { toRequestId } from "./request-id.ts";
import { watchStall } from "./stall.ts";

/** A request over HTTP/1. `stallTimeoutMs` bounds how long a client may leave an answer unread. */
export function createHttp1Exchange(
  request: IncomingMessage,
  response: ServerResponse,
  options: { readonly stallTimeoutMs: number },
): Exchange {
  const requestId = toRequestId(request.headers["x-request-id"]);
  const head = (status: number, headers: OutgoingHttpHeaders): void => {
    headers["x-request-id"] = requestId;
    response.writeHead(status, headers);
  };
  return {
    version: request.httpVersionMinor === 0 ? "1.0" : "1.1",
    method: request.method ?? "GET",
    target: request.url ?? "/",
    headers: request.headers,
    requestId,
    body: request,
    get peer() {
      return `${request.socket.remoteAddress ?? ""}:${request.socket.remotePort ?? 0}`;
    },
    get status() {
      return response.headersSent ? response.statusCode : 0;
    },
    readBody: (maxBytes) => readBody(request, maxBytes, Number(request.headers["content-length"] ?? 0)),
    get signal() {
      return signalOf(request.socket);
    },
    respond(status, headers, body = "") {
      // A small body that was not read is skipped by Node; a large one is not worth the connection.
      if (!request.complete && isLarge(request)) response.shouldKeepAlive = false;
      const length = typeof body === "string" ? Buffer.byteLength(body) : body.byteLength;
      const isEmpty = status === 204 || status === 304;
      if (!isEmpty) headers["content-length"] ??= length;
      head(status, headers);
      response.end(isEmpty || request.method === "HEAD" ? undefined : body);
      watchStall(request.socket, options.stallTimeoutMs);
    },
    start: head,
    write: (chunk) => writeChunk(response, chunk, options.stallTimeoutMs),
    finish(trailers) {
      if (trailers !== undefined && response.chunkedEncoding) response.addTrailers(toPairs(trailers));
      response.end();
      watchStall(request.socket, options.stallTimeoutMs);
    },
    abandon: () => request.destroy(),
  };
}

const gone = Symbol("aborts when the connection closes");

/** The signal of a connection: made once, since a controller and a listener for each request cost more than its routing. */
function signalOf(socket: Socket & { [gone]?: AbortController }): AbortSignal {
  let controller = socket[gone];
  if (controller === undefined) {
    const made = new AbortController();
    socket.once("close", () => made.abort(callerGone()));
    socket[gone] = controller = made;
  }
  return controller.signal;
}

const skippedBytes = 65_536;

function isLarge({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > skippedBytes;
}

function toPairs(trailers: OutgoingHttpHeaders): [string, string][] {
  return Object.entries(trailers).flatMap(([name, value]) =>
    [value ?? []].flat().map((each): [string, string] => [name, String(each)]),
  );
}

/** The parts of a message stream that a body is read from. */
interface BodySource {
  on(event: "data", listener: (chunk: Buffer) => void): unknown;
  on(event: "end" | "close" | "error" | "aborted", listener: () => void): unknown;
  pause(): unknown;
}

/** Reads a body to its end. Rejects with RESOURCE_EXHAUSTED as soon as it is known to be too large, with CANCELLED when it breaks off. */
export function readBody(source: BodySource, maxBytes: number, declaredBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const refuse = (): void => {
      source.pause();
      reject(tooLarge(`the body is larger than ${maxBytes} bytes`));
    };
    if (declaredBytes > maxBytes) {
      refuse();
      return;
    }
    let first: Buffer | undefined;
    let chunks: Buffer[] | undefined;
    let size = 0;
    source.on("data", (chunk) => {
      size += chunk.length;
      if (size > maxBytes) refuse();
      else if (first === undefined) first = chunk;
      else (chunks ??= [first]).push(chunk);
    });
    let isComplete = false;
    source.on("end", () => {
      isComplete = true;
      resolve(chunks === undefined ? (first ?? new Uint8Array()) : Buffer.concat(chunks, size));
    });
    const gone = (): void => {
      if (!isComplete) reject(callerGone());
    };
    source.on("error", gone);
    source.on("close", gone);
  });
}

/** A stream that an answer is written to. */
interface AnswerSink {
  readonly destroyed: boolean;
  write(chunk: Uint8Array): boolean;
  once(event: "drain" | "close", listener: () => void): unknown;
  off(event: "drain" | "close", listener: () => void): unknown;
  destroy(): unknown;
}

/** Writes a piece and waits while the client does not read; destroys the stream when it has not read for `stallTimeoutMs`. */
export function writeChunk(sink: AnswerSink, chunk: Uint8Array, stallTimeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (sink.destroyed) {
      reject(callerGone());
      return;
    }
    if (sink.write(chunk)) {
      resolve();
      return;
    }
    const timer = setTimeout(() => sink.destroy(), stallTimeoutMs);
    const settle = (): void => {
      clearTimeout(timer);
      sink.off("drain", settle);
      sink.off("close", settle);
      if (sink.destroyed) reject(callerGone());
      else resolve();
    };
    sink.once("drain", settle);
    sink.once("close", settle);
  });
}
