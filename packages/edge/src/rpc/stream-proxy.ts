import { createConnectRouter } from "@connectrpc/connect";
import type { ConnectRouterOptions, HandlerContext, MethodImpl } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod, Message } from "@bufbuild/protobuf";
import { Code, MeshError, grantedTimeoutMs } from "@protoloom/mesh";
import type { ByteCall, ByteStream, Clock, Metadata } from "@protoloom/mesh";
import type { Exchange } from "../http/exchange.ts";
import { toResponseHeaders } from "../http/forwarded-headers.ts";
import type { ForwardHeaders } from "../http/forwarded-headers.ts";
import { toConnectError } from "./connect-error.ts";
import type { ExposedMethod } from "./exposed-method.ts";
import { exchangeKey, serveUniversal } from "./universal.ts";

/** What the proxy of one edge needs. */
export interface StreamProxyContext {
  readonly clock: Clock;
  readonly forward: ForwardHeaders;
  readonly maxBodyBytes: number;
}

/** Serves gRPC, gRPC-Web and the streams of Connect for one method. Rejects when the client goes in the middle. */
export type ServeStream = (exchange: Exchange) => Promise<void>;

/**
 * Compiles the proxy of a method, over Connect's protocol handlers. Binary messages pass through undecoded: a descriptor
 * without fields keeps a whole message as unknown fields, and writes it back as it was.
 */
export function createStreamProxy(method: ExposedMethod, context: StreamProxyContext): ServeStream {
  let binary: UniversalHandler | undefined;
  let json: UniversalHandler | undefined;
  return (exchange) => {
    const isJson = (exchange.headers["content-type"] ?? "").includes("json");
    const handler = isJson
      ? (json ??= createHandler(method, method.descriptor, context))
      : (binary ??= createHandler(method, toOpaque(method.descriptor), context));
    return serveUniversal(exchange, handler);
  };
}

function toOpaque(method: DescMethod): DescMethod {
  const opaque = (desc: DescMessage): DescMessage => ({ ...desc, fields: [], field: {}, oneofs: [], members: [] });
  return { ...method, input: opaque(method.input), output: opaque(method.output) };
}

/** Options of Connect's handlers, for the proxy and for what the edge answers itself. */
export function handlerOptions(maxBodyBytes: number): ConnectRouterOptions {
  return { acceptCompression: [compressionGzip, compressionBrotli], readMaxBytes: maxBodyBytes };
}

function createHandler(method: ExposedMethod, descriptor: DescMethod, context: StreamProxyContext): UniversalHandler {
  const router = createConnectRouter({
    ...handlerOptions(context.maxBodyBytes),
    jsonOptions: { registry: method.registry, ignoreUnknownFields: true },
  });
  const { input, output } = descriptor;
  const toCall = (handler: HandlerContext): ByteCall => {
    const exchange = handler.values.get(exchangeKey);
    return {
      path: method.path,
      metadata: exchange === undefined ? {} : context.forward(exchange.headers, exchange.requestId),
      deadline: context.clock.monotonicMs() + grantedTimeoutMs(method.policy, handler.timeoutMs()),
      signal: handler.signal,
    };
  };
  const pass = (requests: AsyncIterable<Message>, handler: HandlerContext): AsyncGenerator<Message> =>
    passMessages(method.transport.stream(toCall(handler)), handler, {
      requests: encode(requests, input),
      decode: (bytes) => fromBinary(output, bytes),
    });
  const implementations: Record<DescMethod["methodKind"], unknown> = {
    async unary(request: Message, handler: HandlerContext) {
      try {
        const answer = await method.transport.unary(toCall(handler), toBinary(input, request));
        setMetadata(handler.responseHeader, answer.headers);
        setMetadata(handler.responseTrailer, answer.trailers);
        return fromBinary(output, answer.message);
      } catch (error) {
        throw toCallError(error, handler);
      }
    },
    server_streaming: (request: Message, handler: HandlerContext) => pass(only(request), handler),
    async client_streaming(requests: AsyncIterable<Message>, handler: HandlerContext) {
      let answer: Message | undefined;
      for await (const message of pass(requests, handler)) answer = message;
      if (answer === undefined) throw toConnectError(new MeshError(Code.UNIMPLEMENTED, "the answer has no message"));
      return answer;
    },
    bidi_streaming: pass,
  };
  router.rpc(descriptor, implementations[descriptor.methodKind] as MethodImpl<DescMethod>);
  return router.handlers[0] as UniversalHandler;
}

async function* only(request: Message): AsyncGenerator<Message> {
  yield request;
}

async function* encode(requests: AsyncIterable<Message>, input: DescMessage): AsyncGenerator<Uint8Array> {
  for await (const request of requests) yield toBinary(input, request);
}

interface Passing {
  readonly requests: AsyncIterable<Uint8Array>;
  readonly decode: (bytes: Uint8Array) => Message;
}

/** Passes messages in both directions until the service ends the call, at the pace of the slower side. */
async function* passMessages(
  stream: ByteStream,
  handler: HandlerContext,
  { requests, decode }: Passing,
): AsyncGenerator<Message> {
  let requestFailure: unknown;
  const sending = sendAll(stream, requests).catch((error: unknown) => {
    // A stream that has ended takes no more messages: how it ended is told by its answer.
    if (error instanceof MeshError) return;
    requestFailure = error;
    stream.cancel(error);
  });
  try {
    setMetadata(handler.responseHeader, await stream.headers);
    for await (const bytes of stream.messages) yield decode(bytes);
    setMetadata(handler.responseTrailer, await stream.trailers);
  } catch (error) {
    throw toCallError(requestFailure ?? error, handler);
  } finally {
    stream.cancel();
    // The client may still be sending: nobody waits for it.
    void sending;
  }
}

async function sendAll(stream: ByteStream, requests: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const message of requests) await stream.send(message);
  stream.end();
}

/** The reason of an abort decides the code: Connect's handler aborts with an error of its own. */
function toCallError(error: unknown, handler: HandlerContext): unknown {
  const { signal } = handler;
  return toConnectError(
    signal.aborted && !(error instanceof MeshError && error.code === Code.DEADLINE_EXCEEDED) ? signal.reason : error,
  );
}

function setMetadata(target: Headers, metadata: Metadata): void {
  for (const [name, value] of Object.entries(toResponseHeaders(metadata, ""))) {
    for (const each of [value ?? []].flat()) target.append(name, String(each));
  }
}
