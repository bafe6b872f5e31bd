import { toBinary } from "@bufbuild/protobuf";
import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { UnaryAnswer } from "@protoloom/mesh";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { toText } from "../binding/request-binder.ts";
import { toConnectErrorJson, toErrorAnswer } from "../errors/error-json.ts";
import { malformedRequest, methodNotAllowed, tooLarge, unsupportedMediaType } from "../errors/request-error.ts";
import type { Exchange } from "../http/exchange.ts";
import { toResponseHeaders } from "../http/forwarded-headers.ts";
import { parseMediaType } from "../http/media-type.ts";
import { UnknownCoding, inflate, readRequestBody } from "../http/request-body.ts";
import { compileJsonWriter } from "../json/json-writer.ts";
import type { WriteJson } from "../json/json-writer.ts";
import { readJson } from "../json/message-reader.ts";
import { parseBase64 } from "../json/well-known.ts";
import { decodeForm } from "../routing/raw-path.ts";
import type { ExposedMethod } from "./exposed-method.ts";
import type { Upstream } from "./upstream.ts";

/** A unary method as Connect serves it (Connect protocol, "Unary RPCs" and "Unary GET"). */
export interface ConnectUnary {
  readonly method: ExposedMethod;
  /** Answers a POST whose media type is Connect's, or a GET. Rejects with what goes wrong; `answerConnectError` makes an answer of it. */
  serve(exchange: Exchange, query: string): Promise<void>;
}

/** What Connect calls need. */
export interface ConnectContext {
  readonly upstream: Upstream;
  readonly maxBodyBytes: number;
  /** True: unknown fields of a JSON request are faults. */
  readonly strictBody: boolean;
}

type Codec = "json" | "proto";

const contentTypes: Readonly<Record<Codec, string>> = { json: "application/json", proto: "application/proto" };
const acceptPost = "application/json, application/proto";

/** True if the method may be called with GET. */
export function hasNoSideEffects(descriptor: DescMethod): boolean {
  return descriptor.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

/** Compiles a method for Connect. Its codecs are compiled with the first call that uses JSON. */
export function createConnectUnary(method: ExposedMethod, context: ConnectContext): ConnectUnary {
  const { input, output } = method.descriptor;
  const readMessage = method.readers.message(input);
  let writeJson: WriteJson | undefined;

  const toRequest = (bytes: Uint8Array, codec: Codec): Uint8Array => {
    if (codec === "proto") return bytes;
    return toBinary(input, readJson(toText(bytes), readMessage, { strict: context.strictBody }) as Message);
  };
  const answer = (exchange: Exchange, codec: Codec, { message, headers, trailers }: UnaryAnswer): void => {
    const body = codec === "proto" ? message : (writeJson ??= compileJsonWriter(output, method.registry, ""))(message);
    exchange.respond(
      200,
      { "content-type": contentTypes[codec], ...toResponseHeaders(headers, ""), ...toResponseHeaders(trailers, "trailer-") },
      body,
    );
  };
  const readable = hasNoSideEffects(method.descriptor);
  return {
    method,
    async serve(exchange, query) {
      if (exchange.method === "GET" && readable) {
        const { codec, bytes } = await readGet(query, context.maxBodyBytes);
        answer(exchange, codec, await context.upstream.unary(exchange, method, toRequest(bytes, codec)));
        return;
      }
      if (exchange.method !== "POST") throw methodNotAllowed(readable ? "POST, GET" : "POST");
      const codec = codecOf(exchange.headers["content-type"]);
      checkVersion(exchange.headers["connect-protocol-version"]);
      const bytes = await readBody(exchange, context.maxBodyBytes);
      answer(exchange, codec, await context.upstream.unary(exchange, method, toRequest(bytes, codec)));
    },
  };
}

function codecOf(contentType: string | undefined): Codec {
  const { type, isUtf8 } = parseMediaType(contentType ?? "");
  if (type === "application/json" && isUtf8) return "json";
  if (type === "application/proto") return "proto";
  const detail =
    contentType === undefined
      ? "the request has no media type"
      : `the media type ${JSON.stringify(contentType)} is not supported`;
  throw unsupportedMediaType(detail, { "accept-post": acceptPost });
}

/** The header is optional, so that curl needs none; another version is another protocol. */
function checkVersion(version: string | string[] | undefined): void {
  if (version !== undefined && version !== "1")
    throw malformedRequest(`connect-protocol-version is ${JSON.stringify(version)}; 1 is supported`);
}

async function readBody(exchange: Exchange, maxBodyBytes: number): Promise<Uint8Array> {
  try {
    return await readRequestBody(exchange, maxBodyBytes);
  } catch (error) {
    throw error instanceof UnknownCoding ? error.toUnimplemented() : error;
  }
}

async function readGet(query: string, maxBytes: number): Promise<{ readonly codec: Codec; readonly bytes: Uint8Array }> {
  const parameters = new Map<string, string>();
  for (const part of query.split("&")) {
    const equals = part.indexOf("=");
    if (equals > 0) parameters.set(decodeForm(part.slice(0, equals)), decodeForm(part.slice(equals + 1)));
  }
  const encoding = parameters.get("encoding");
  if (encoding !== "json" && encoding !== "proto") throw unsupportedMediaType("the parameter encoding is neither json nor proto");
  const version = parameters.get("connect") ?? "v1";
  if (version !== "v1") throw malformedRequest(`connect is ${JSON.stringify(version)}; v1 is supported`);
  const message = parameters.get("message");
  if (message === undefined) throw malformedRequest("the parameter message is missing");
  const bytes = parameters.get("base64") === "1" ? parseBase64(message) : Buffer.from(message);
  if (bytes === undefined) throw malformedRequest("the parameter message is no base64");
  const coding = parameters.get("compression") ?? "identity";
  if (coding === "gzip" || coding === "br") return { codec: encoding, bytes: await inflate(bytes, coding, maxBytes) };
  if (coding !== "identity") throw new UnknownCoding(coding).toUnimplemented();
  if (bytes.length > maxBytes) throw tooLarge(`the message is larger than ${maxBytes} bytes`);
  return { codec: encoding, bytes };
}

/** Answers with Connect's form of an error. */
export function answerConnectError(exchange: Exchange, thrown: unknown, { registry }: ExposedMethod): void {
  const { status, headers, error } = toErrorAnswer(thrown);
  const metadata = toResponseHeaders(error.metadata, "");
  exchange.respond(status, { ...metadata, ...headers, "content-type": "application/json" }, toConnectErrorJson(error, registry));
}
