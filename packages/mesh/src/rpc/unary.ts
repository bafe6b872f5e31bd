import { constants } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { Code } from "../base/code.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Metadata } from "../base/metadata.ts";
import { answerDecoder, answerStatus, notGrpc } from "./answer-status.ts";
import { frameMessage } from "./framing.ts";
import type { FrameDecoder, MessageSink } from "./framing.ts";
import { answerMetadata } from "./headers.ts";
import type { RawHeaders } from "./headers.ts";
import type { CallStream } from "./http2-connection.ts";
import { PickedCall } from "./picked-call.ts";
import type { Route } from "./route.ts";
import type { ByteCall, UnaryAnswer } from "./transport.ts";

/** Makes one unary call. */
export function callUnary(route: Route, call: ByteCall, message: Uint8Array): Promise<UnaryAnswer> {
  return new Promise((resolve, reject) => {
    new UnaryCall(route, call, { frame: frameMessage(message), resolve, reject }).start();
  });
}

/** Metadata is read by few callers: it is made when they ask. */
class Answer implements UnaryAnswer {
  readonly message: Uint8Array;
  readonly endpoint: Endpoint;
  readonly #rawHeaders: RawHeaders;
  readonly #rawTrailers: RawHeaders;

  constructor(message: Uint8Array, endpoint: Endpoint, raw: { readonly headers: RawHeaders; readonly trailers: RawHeaders }) {
    this.message = message;
    this.endpoint = endpoint;
    this.#rawHeaders = raw.headers;
    this.#rawTrailers = raw.trailers;
  }

  get headers(): Metadata {
    return answerMetadata(this.#rawHeaders);
  }

  get trailers(): Metadata {
    return answerMetadata(this.#rawTrailers);
  }
}

interface UnaryRequest {
  readonly frame: Buffer;
  readonly resolve: (answer: UnaryAnswer) => void;
  readonly reject: (error: MeshError) => void;
}

class UnaryCall extends PickedCall implements MessageSink {
  readonly #request: UnaryRequest;
  #decoder: FrameDecoder | undefined;
  #message: Buffer | undefined;
  #rawHeaders: RawHeaders = [];
  #surplus = false;

  constructor(route: Route, call: ByteCall, request: UnaryRequest) {
    super(route, call);
    this.#request = request;
  }

  protected override begin(stream: CallStream): void {
    stream.end(this.#request.frame);
  }

  override onHeaders(headers: IncomingHttpHeaders, raw: RawHeaders, endOfStream: boolean): void {
    if (this.ended) return;
    if (endOfStream) return this.#finish(answerStatus(headers, raw) ?? this.#missing(), raw);
    const error = notGrpc(headers);
    if (error !== undefined) return this.abort(error);
    this.#rawHeaders = raw;
    this.#decoder = answerDecoder(headers, this.route.context.settings.maxReceiveBytes);
  }

  override onData(chunk: Buffer): void {
    if (this.ended || this.#decoder === undefined) return;
    try {
      this.#decoder.push(chunk, this);
    } catch (error) {
      this.abort(error as MeshError);
    }
  }

  onMessage(message: Buffer): void {
    if (this.#message === undefined) this.#message = message;
    else this.#surplus = true;
  }

  override onTrailers(headers: IncomingHttpHeaders, raw: RawHeaders): void {
    if (this.ended) return;
    const error = answerStatus(headers, raw);
    if (error !== undefined) return this.#finish(error, raw);
    if (this.#decoder?.inMessage === true)
      return this.#finish(new MeshError(Code.INTERNAL, "the answer ends within a message"), raw);
    if (this.#surplus)
      return this.#finish(new MeshError(Code.UNIMPLEMENTED, "the answer of a unary call has several messages"), raw);
    this.#finish(this.#message === undefined ? this.#missing() : undefined, raw);
  }

  protected override fail(error: MeshError): void {
    this.#request.reject(error);
  }

  #missing(): MeshError {
    return new MeshError(Code.UNIMPLEMENTED, "the answer of a unary call has no message");
  }

  /** The server has ended the call. */
  #finish(error: MeshError | undefined, trailers: RawHeaders): void {
    const { stream, endpoint } = this;
    this.settle(error?.code ?? Code.OK);
    // What is still being sent nobody reads.
    if (stream !== undefined && !stream.closed && !stream.writableFinished) stream.close(constants.NGHTTP2_CANCEL);
    if (error !== undefined || this.#message === undefined || endpoint === undefined)
      this.#request.reject(error ?? this.#missing());
    else this.#request.resolve(new Answer(this.#message, endpoint, { headers: this.#rawHeaders, trailers }));
  }
}
