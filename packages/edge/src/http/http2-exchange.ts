import { constants } from "node:http2";
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { callerGone } from "@protoloom/mesh";
import type { Exchange } from "./exchange.ts";
import { readBody, writeChunk } from "./http1-exchange.ts";
import { toRequestId } from "./request-id.ts";

/** Answers up to this size are left to the limits of the session: a timer for each would cost more than they hold. */
const unwatchedBytes = 16_384;

/** A request over HTTP/2. `stallTimeoutMs` bounds how long a client may leave an answer unread. */
export function createHttp2Exchange(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  options: { readonly stallTimeoutMs: number; readonly peer: string },
): Exchange {
  const requestId = toRequestId(headers["x-request-id"]);
  const method = headers[":method"] ?? "GET";
  let status = 0;
  let controller: AbortController | undefined;
  // A reset with an error code is an error event; the exchange learns of it by `aborted`.
  stream.on("error", () => {});
  const head = (
    code: number,
    fields: OutgoingHttpHeaders,
    streamOptions: { endStream?: boolean; waitForTrailers?: boolean },
  ): void => {
    status = code;
    if (stream.headersSent || !isOpen(stream)) return;
    fields[":status"] = code;
    fields["x-request-id"] = requestId;
    stream.respond(fields, streamOptions);
  };
  return {
    version: "2.0",
    method,
    target: headers[":path"] ?? "/",
    headers,
    requestId,
    body: stream,
    peer: options.peer,
    get status() {
      return status;
    },
    readBody: (maxBytes) => readBody(stream, maxBytes, Number(headers["content-length"] ?? 0)),
    get signal() {
      if (controller === undefined) {
        const made = new AbortController();
        stream.once("aborted", () => made.abort(callerGone()));
        controller = made;
      }
      return controller.signal;
    },
    respond(code, fields, body = "") {
      const isEmpty = code === 204 || code === 304 || method === "HEAD";
      const length = typeof body === "string" ? Buffer.byteLength(body) : body.byteLength;
      if (code !== 204 && code !== 304) fields["content-length"] ??= length;
      head(code, fields, { endStream: isEmpty || length === 0 });
      if (!isEmpty && length > 0 && isOpen(stream)) stream.end(body);
      if (length > unwatchedBytes || !stream.readableEnded) closeWhenAnswered(stream, options.stallTimeoutMs);
    },
    start: (code, fields, { trailers }) => head(code, fields, { waitForTrailers: trailers }),
    write: (chunk) => writeChunk(stream, chunk, options.stallTimeoutMs),
    finish(trailers) {
      if (!isOpen(stream)) return;
      if (trailers !== undefined) stream.once("wantTrailers", () => isOpen(stream) && stream.sendTrailers(trailers));
      stream.end();
      closeWhenAnswered(stream, options.stallTimeoutMs);
    },
    abandon: () => stream.close(constants.NGHTTP2_CANCEL),
  };
}

/** A stream that the client has reset is closed before it is destroyed, and throws at whoever writes to it. */
function isOpen(stream: ServerHttp2Stream): boolean {
  return !stream.destroyed && !stream.closed;
}

/** How long a client may go on sending a body whose answer it has. */
const lingerMs = 1_000;

/** A request whose body is not read to its end would stay open after its answer; one whose client stops reading, too. */
function closeWhenAnswered(stream: ServerHttp2Stream, stallTimeoutMs: number): void {
  if (stream.destroyed || (stream.readableEnded && stream.writableFinished)) return;
  if (!stream.readableEnded) {
    stream.resume();
    setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), lingerMs).unref();
  }
  stream.setTimeout(stallTimeoutMs, () => stream.close(constants.NGHTTP2_CANCEL));
}
