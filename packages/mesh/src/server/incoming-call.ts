import { constants } from "node:http2";
import type { OutgoingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { CallContext } from "../base/call-context.ts";
import { Code } from "../base/code.ts";
import { callerGone } from "../base/deadline.ts";
import { MeshError } from "../base/mesh-error.ts";
import { FrameDecoder, acceptedEncodings, frameMessage } from "../rpc/framing.ts";
import type { MessageSink } from "../rpc/framing.ts";
import { headersByName } from "../rpc/headers.ts";
import { pushOwnMetadata } from "./answer-metadata.ts";
import type { CallHead } from "./call-head.ts";
import { errorTrailers } from "./error-mapper.ts";

/**
 * Where a call is. `open`: messages come and go. `failed`: the caller has gone, or what it sent cannot be read; the pipeline is
 * told, and nothing is read or sent any more. `ended`: its status is sent. Transitions: open -> failed -> ended, open -> ended.
 */
type State = { readonly is: "open" } | { readonly is: "failed"; readonly error: MeshError } | { readonly is: "ended" };

const open: State = { is: "open" };
const ended: State = { is: "ended" };

// Headers are names and values in turn, which node:http2 takes without copying them.
const answerHeaders = [":status", "200", "content-type", "application/grpc+proto"] as const;
const messagesFollow = [...answerHeaders, "grpc-accept-encoding", acceptedEncodings] as const;
const messagesFollowOptions = { waitForTrailers: true, sendDate: false } as const;
const nothingFollowsOptions = { endStream: true, sendDate: false } as const;
const okEnding = ["grpc-status", "0"] as const;
const okTrailers: OutgoingHttpHeaders = { "grpc-status": "0" };

// One set of functions for all streams: they find their call on the stream, so a call needs no closures.
const callOf: unique symbol = Symbol("call");

interface CallStream extends ServerHttp2Stream {
  [callOf]: IncomingCall;
}

/**
 * One call that has come in, whatever its kind: bytes in, bytes out, one ending (gRPC over HTTP/2, PROTOCOL-HTTP2.md). The
 * stages of the pipeline share it. Messages that have come wait in a queue; while it is not empty the HTTP/2 stream is
 * paused, so at most the stream's window is read ahead.
 */
export class IncomingCall implements MessageSink {
  readonly head: CallHead;
  /** How the bytes of a message become a request. Set by the stage that checks requests; undefined before it. */
  decode: ((bytes: Uint8Array) => unknown) | undefined;
  /** Set by the stage that opens the context; undefined before it. */
  context: CallContext | undefined;
  readonly #stream: CallStream;
  readonly #decoder: FrameDecoder;
  #state: State = open;
  #halfClosed = false;
  readonly #queue: Buffer[] = [];
  #reading: PromiseWithResolvers<Uint8Array | undefined> | undefined;
  #flushing: PromiseWithResolvers<void> | undefined;
  #headersSent = false;
  /** The frame that goes out together with the status. */
  #lastFrame: Buffer | undefined;
  #headers: string[] | undefined;
  #trailers: string[] | undefined;
  #ending: readonly string[] = okEnding;
  #failureListener: { abort(error: MeshError): void } | undefined;

  constructor(stream: ServerHttp2Stream, head: CallHead, maxMessageBytes: number) {
    this.head = head;
    this.#stream = stream as CallStream;
    this.#decoder = new FrameDecoder("request", maxMessageBytes, head.encoding);
    this.#stream[callOf] = this;
    stream.on("data", IncomingCall.#onData);
    stream.on("end", IncomingCall.#onEnd);
    stream.on("error", IncomingCall.#onError);
    stream.on("close", IncomingCall.#onClose);
    // A call that was reset before it got here.
    if (stream.destroyed || stream.closed) this.#fail(callerGone());
  }

  /** The next message; undefined after the last. Rejects with MeshError when the call has ended. One at a time. */
  receive(): Promise<Uint8Array | undefined> {
    if (this.#state.is !== "open") return Promise.reject(this.#whyNot(this.#state));
    const message = this.#queue.shift();
    if (message !== undefined) {
      if (this.#queue.length === 0) this.#stream.resume();
      return Promise.resolve(message);
    }
    if (this.#halfClosed) return Promise.resolve(undefined);
    this.#reading = Promise.withResolvers();
    return this.#reading.promise;
  }

  /**
   * Sends one message. The promise is there when the caller reads too slowly, and resolves when more may be sent. Throws
   * MeshError when the call has ended.
   */
  send(message: Uint8Array): Promise<void> | undefined {
    this.#checkOpen();
    this.#sendHeaders();
    if (this.#stream.write(frameMessage(message))) return undefined;
    if (this.#flushing === undefined) {
      this.#flushing = Promise.withResolvers();
      this.#stream.once("drain", IncomingCall.#onDrain);
    }
    return this.#flushing.promise;
  }

  /** Sends the one message of an answer that has no other: it goes out with the status. Throws as `send` does. */
  sendOnly(message: Uint8Array): void {
    this.#checkOpen();
    this.#lastFrame = frameMessage(message);
  }

  /** Adds to the answer's headers. Throws after the first message. */
  setHeader(name: string, value: string): void {
    if (this.#headersSent) throw new Error(`the header ${name} comes too late: the first message has been sent`);
    pushOwnMetadata((this.#headers ??= []), name, value);
  }

  /** Adds to the answer's trailers. */
  setTrailer(name: string, value: string): void {
    pushOwnMetadata((this.#trailers ??= []), name, value);
  }

  /** Ends the call: OK, or with an error. The first ending counts. */
  end(error?: MeshError): void {
    if (this.#state.is === "ended") return;
    this.#state = ended;
    // Whoever still waits must not take the end of a failed call for the end of its requests.
    if (error === undefined) this.#deliver(undefined);
    else this.#release(error);
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    if (error !== undefined) this.#ending = errorTrailers(error, this.#trailers);
    else if (this.#trailers !== undefined) this.#ending = [...this.#trailers, ...okEnding];
    this.#sendEnding(error === undefined ? this.#lastFrame : undefined);
    // What still comes is read and dropped, until the caller hears that nobody wants it.
    stream.resume();
  }

  /** Aborts `listener` once, when the caller goes or the call cannot be read on. */
  onFailure(listener: { abort(error: MeshError): void }): void {
    this.#failureListener = listener;
    if (this.#state.is === "failed") listener.abort(this.#state.error);
  }

  /** Takes a message from the decoder. */
  onMessage(message: Buffer): void {
    if (this.#reading === undefined) this.#queue.push(message);
    else this.#deliver(message);
  }

  static #onData(this: CallStream, chunk: Buffer): void {
    this[callOf].#take(chunk);
  }

  static #onEnd(this: CallStream): void {
    // node:http2 also ends what it has read of a stream that was reset: that is not all of the request.
    if (this.closed) this[callOf].#fail(callerGone());
    else this[callOf].#halfClose();
  }

  static #onError(this: CallStream): void {
    // `close` follows, and tells the call.
  }

  static #onClose(this: CallStream): void {
    const call = this[callOf];
    // A call that went well closes, too: an error is made only when there is one.
    if (call.#state.is === "open") call.#fail(callerGone());
  }

  static #onDrain(this: CallStream): void {
    const call = this[callOf];
    call.#flushing?.resolve();
    call.#flushing = undefined;
  }

  static #onWantTrailers(this: CallStream): void {
    const call = this[callOf];
    if (this.destroyed || this.closed) return;
    // node:http2 takes trailers by name only.
    this.sendTrailers(call.#ending === okEnding ? okTrailers : headersByName(call.#ending));
    call.#refuseRest();
  }

  #take(chunk: Buffer): void {
    if (this.#state.is !== "open") return;
    try {
      this.#decoder.push(chunk, this);
    } catch (error) {
      return this.#fail(error as MeshError);
    }
    if (this.#queue.length > 0) this.#stream.pause();
  }

  #halfClose(): void {
    this.#halfClosed = true;
    if (this.#decoder.inMessage) {
      return this.#fail(new MeshError(Code.INTERNAL, "the request ends within a message", { reason: "MALFORMED_REQUEST" }));
    }
    this.#deliver(undefined);
  }

  #fail(error: MeshError): void {
    if (this.#state.is !== "open") return;
    this.#state = { is: "failed", error };
    this.#release(error);
    this.#failureListener?.abort(error);
  }

  #checkOpen(): void {
    // A stream that is being destroyed says so before it closes.
    if (this.#state.is === "open" && (this.#stream.destroyed || this.#stream.closed)) this.#fail(callerGone());
    if (this.#state.is !== "open") throw this.#whyNot(this.#state);
  }

  #whyNot(state: Exclude<State, { readonly is: "open" }>): MeshError {
    return state.is === "failed" ? state.error : new MeshError(Code.CANCELLED, "the call has ended", { reason: "CALLER_GONE" });
  }

  #deliver(message: Uint8Array | undefined): void {
    const waiting = this.#reading;
    this.#reading = undefined;
    waiting?.resolve(message);
  }

  #release(error: MeshError): void {
    this.#queue.length = 0;
    this.#reading?.reject(error);
    this.#flushing?.reject(error);
    this.#reading = undefined;
    this.#flushing = undefined;
  }

  #sendHeaders(): void {
    if (this.#headersSent) return;
    this.#headersSent = true;
    this.#stream.respond([...messagesFollow, ...(this.#headers ?? [])], messagesFollowOptions);
    this.#stream.once("wantTrailers", IncomingCall.#onWantTrailers);
  }

  #sendEnding(lastFrame: Buffer | undefined): void {
    const stream = this.#stream;
    if (this.#headersSent || lastFrame !== undefined || this.#headers !== undefined) {
      this.#sendHeaders();
      if (lastFrame === undefined) stream.end();
      else stream.end(lastFrame);
      return;
    }
    // An answer without messages is one block of headers.
    stream.respond([...answerHeaders, ...this.#ending], nothingFollowsOptions);
    this.#refuseRest();
  }

  /** Once the answer is complete, a caller that still sends is told to stop (RFC 9113, 8.1). */
  #refuseRest(): void {
    if (this.#halfClosed) return;
    const stream = this.#stream;
    // node:http2 sends trailers in the next round; what is closed before that would lose them.
    setImmediate(() => {
      if (!this.#halfClosed) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
}
