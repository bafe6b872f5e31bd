import { Code, MeshError } from "@protoloom/mesh";
import type { ByteStream } from "@protoloom/mesh";
import { toErrorAnswer, toStatusJson } from "../errors/error-json.ts";
import type { Exchange } from "../http/exchange.ts";
import { toResponseHeaders } from "../http/forwarded-headers.ts";
import { parseMediaType } from "../http/media-type.ts";
import type { RouteMatch } from "../routing/router.ts";
import { readLines, splitArray } from "./message-source.ts";
import { readRestBody } from "./rest-handler.ts";
import type { RestContext } from "./rest-handler.ts";
import type { RestRoute } from "./rest-route.ts";
import { chooseFraming } from "./stream-framing.ts";

/**
 * Answers a request whose rule leads to a server's stream, message by message, at the client's pace. What fails before the
 * first message rejects; later failures are told in the body, since the status has been sent.
 */
export async function serveServerStream(
  exchange: Exchange,
  match: RouteMatch<RestRoute>,
  query: string,
  context: RestContext,
): Promise<void> {
  const route = match.value;
  const body = await readRestBody(exchange, route, context.maxBodyBytes);
  const request = route.toRequest(match.captures, query, body);
  const stream = context.upstream.stream(exchange, route.method);
  try {
    await stream.send(request);
    stream.end();
    const messages = stream.messages[Symbol.asyncIterator]();
    const first = await messages.next();
    const isRaw = route.method.descriptor.output.typeName === "google.api.HttpBody";
    const framing = isRaw ? undefined : chooseFraming(exchange.headers.accept);
    const answer = first.done === true ? undefined : route.toAnswer(first.value);
    const contentType = framing?.contentType ?? answer?.contentType ?? "application/octet-stream";
    const headers = {
      "content-type": contentType,
      "cache-control": "no-store",
      ...toResponseHeaders(await stream.headers, "grpc-metadata-"),
    };
    if (exchange.method === "HEAD") return exchange.respond(200, headers);
    exchange.start(200, headers, { trailers: false });
    try {
      for (let next = first, isFirst = true; next.done !== true; next = await messages.next(), isFirst = false) {
        const { body: content } = isFirst && answer !== undefined ? answer : route.toAnswer(next.value);
        await exchange.write(
          framing === undefined
            ? toBytes(content)
            : Buffer.from(`${framing.before(isFirst)}${content as string}${framing.after}`),
        );
      }
      const end = framing?.end(first.done === true) ?? "";
      if (end !== "") await exchange.write(Buffer.from(end));
    } catch (error) {
      if (exchange.signal.aborted || framing === undefined) throw error;
      await exchange.write(Buffer.from(framing.error(toStatusJson(toErrorAnswer(error).error, route.method.registry))));
    }
    exchange.finish();
  } finally {
    stream.cancel();
  }
}

function toBytes(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? Buffer.from(content) : content;
}

/**
 * Answers a request whose rule leads to a client's stream: `application/x-ndjson` is passed on line by line, a JSON array once it is
 * there, an HttpBody piece by piece. The answer is an ordinary one. Rejects with what goes wrong.
 */
export async function serveClientStream(
  exchange: Exchange,
  match: RouteMatch<RestRoute>,
  query: string,
  context: RestContext,
): Promise<void> {
  const route = match.value;
  const requests = toRequests(exchange, match, { query, maxBytes: context.maxBodyBytes });
  // The service is called once there is something to say: not for a body that is refused.
  const first = await requests.next();
  const stream = context.upstream.stream(exchange, route.method);
  try {
    const sending = sendAll(stream, first, requests);
    // Whichever fails first decides; a service may answer before it has read everything.
    const answering = readOnly(stream);
    const message = await Promise.race([answering, sending.then(() => answering)]);
    const { contentType, body } = route.toAnswer(message);
    exchange.respond(200, { "content-type": contentType, ...toResponseHeaders(await stream.headers, "grpc-metadata-") }, body);
  } finally {
    stream.cancel();
  }
}

async function* toRequests(
  exchange: Exchange,
  { value: route, captures }: RouteMatch<RestRoute>,
  { query, maxBytes }: { readonly query: string; readonly maxBytes: number },
): AsyncGenerator<Uint8Array> {
  const contentType = exchange.headers["content-type"] ?? "";
  const mediaType = parseMediaType(contentType);
  let isFirst = true;
  const bind = (bytes: Uint8Array): Uint8Array => {
    const request = isFirst
      ? route.toRequest(captures, query, { bytes, contentType })
      : route.toNextRequest({ bytes, contentType: "" });
    isFirst = false;
    return request;
  };
  if (route.body === "raw") {
    for await (const chunk of exchange.body) yield bind(chunk);
  } else if (mediaType.type === "application/x-ndjson" && exchange.headers["content-encoding"] === undefined) {
    for await (const line of readLines(exchange.body, maxBytes)) yield bind(line);
  } else {
    const { bytes } = await readRestBody(exchange, route, maxBytes);
    yield* splitArray(bytes).map(bind);
  }
}

/** Sends every request. A stream that the service has ended takes no more: how it ended is told by its answer. */
async function sendAll(stream: ByteStream, first: IteratorResult<Uint8Array>, rest: AsyncIterator<Uint8Array>): Promise<void> {
  for (let next = first; next.done !== true; next = await rest.next()) {
    try {
      await stream.send(next.value);
    } catch {
      // The answer tells why.
      return;
    }
  }
  stream.end();
}

async function readOnly(stream: ByteStream): Promise<Uint8Array> {
  let answer: Uint8Array | undefined;
  for await (const message of stream.messages) answer = message;
  if (answer === undefined) throw new MeshError(Code.UNIMPLEMENTED, "the answer has no message");
  return answer;
}
