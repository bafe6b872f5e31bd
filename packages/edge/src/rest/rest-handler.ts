import type { Registry } from "@bufbuild/protobuf";
import type { RequestBody } from "../binding/request-binder.ts";
import { toErrorAnswer, toStatusJson } from "../errors/error-json.ts";
import { unsupportedMediaType } from "../errors/request-error.ts";
import type { Exchange } from "../http/exchange.ts";
import { toResponseHeaders } from "../http/forwarded-headers.ts";
import { isJson, parseMediaType } from "../http/media-type.ts";
import { UnknownCoding, readRequestBody } from "../http/request-body.ts";
import type { RouteMatch } from "../routing/router.ts";
import type { Upstream } from "../rpc/upstream.ts";
import type { RestRoute } from "./rest-route.ts";

const noBody: RequestBody = { bytes: new Uint8Array(), contentType: "" };

/** What REST calls need. */
export interface RestContext {
  readonly upstream: Upstream;
  readonly maxBodyBytes: number;
}

/** Answers a request that a REST rule matches. Rejects with what goes wrong; `answerRestError` makes an answer of it. */
export async function serveRest(
  exchange: Exchange,
  match: RouteMatch<RestRoute>,
  query: string,
  context: RestContext,
): Promise<void> {
  const route = match.value;
  // A wait that is none would cost every GET a turn of the queue.
  const body = hasBody(exchange) ? await readRestBody(exchange, route, context.maxBodyBytes) : noBody;
  const answer = await context.upstream.unary(exchange, route.method, route.toRequest(match.captures, query, body));
  const { contentType, body: content } = route.toAnswer(answer.message);
  const headers = toResponseHeaders(answer.headers, "grpc-metadata-");
  exchange.respond(200, { "content-type": contentType, ...headers }, content);
}

function hasBody({ headers, version, method }: Exchange): boolean {
  if (version === "2.0") return method !== "GET" && method !== "HEAD";
  return headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";
}

/** Reads the body of a request as its rule wants it. Rejects with 415 for a media type or a coding that it cannot be. */
export async function readRestBody(exchange: Exchange, route: RestRoute, maxBodyBytes: number): Promise<RequestBody> {
  if (!hasBody(exchange)) return noBody;
  if (route.body === "none") {
    // It is read so that the connection can be used again; what it says does not matter.
    await exchange.readBody(maxBodyBytes);
    return noBody;
  }
  const contentType = exchange.headers["content-type"] ?? "";
  if (route.body === "json" && contentType !== "" && !isJson(parseMediaType(contentType))) {
    throw unsupportedMediaType(`the media type ${JSON.stringify(contentType)} is no JSON`);
  }
  try {
    return { bytes: await readRequestBody(exchange, maxBodyBytes), contentType };
  } catch (error) {
    throw error instanceof UnknownCoding ? error.toUnsupportedMediaType() : error;
  }
}

/** Answers with google.rpc.Status as JSON. */
export function answerRestError(exchange: Exchange, thrown: unknown, registry: Registry): void {
  const { status, headers, error } = toErrorAnswer(thrown);
  const metadata = toResponseHeaders(error.metadata, "grpc-metadata-");
  exchange.respond(status, { ...metadata, ...headers, "content-type": "application/json" }, toStatusJson(error, registry));
}
