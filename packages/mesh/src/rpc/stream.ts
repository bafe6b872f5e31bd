import { constants } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { Code } from "../base/code.ts";
import { callerGone } from "../base/deadline.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Metadata } from "../base/metadata.ts";
import { answerDecoder, answerStatus, notGrpc } from "./answer-status.ts";
import { frameMessage } from "./framing.ts";
import type { FrameDecoder, MessageSink } from "./framing.ts";
import { answerMetadata } from "./headers.ts";
import type { RawHeaders } from "./headers.ts";
import { writeFrame } from "./http2-connection.ts";
import type { CallStream } from "./http2-connection.ts";
import { PickedCall, abortError } from "./picked-call.ts";
import type { Route } from "./route.ts";
import type { ByteCall, ByteStream } from "./transport.ts";

/** Starts one call whose request or answer is a stream. */
export function callStream(route: Route, call: ByteCall): ByteStream {
  const stream = new StreamCall(route, call);
  stream.start();
  return {
    send: (message) => stream.send(message),
    end: () => stream.endInput(),
    get headers() {
      return stream.headers.promise;
    },
    get trailers() {
      return stream.trailers.promise;
    },
    messages: { [Symbol.asyncIterator]: () => stream.iterate() },
    cancel: (reason) => stream.cancel(reason),
  };
}

type Message = IteratorResult<Uint8Array, undefined>;

/** A promise that may be asked for late, or never: its failure is then no unhandled rejection. */
function createLater<T>(): PromiseWithResolvers<T> {
  const later = Promise.withResolvers<T>();
  later.promise.catch(() => {}); // Whoever asks for it still sees the failure.
  return later;
}

/**
 * A streaming call. What is sent is kept until the answer begins, within a bound, so that an attempt which never reached
 * the server can be made again. Messages that have come wait in a queue; while it is not empty the HTTP/2 stream is
 * paused, so at most the stream's window is read ahead.
 */
class StreamCall extends PickedCall implements MessageSink {
  readonly headers: PromiseWithResolvers<Metadata> = createLater();
  readonly trailers: PromiseWithResolvers<Metadata> = createLater();
  #decoder: FrameDecoder | undefined;
  /** All frames of the call so far; undefined once they need not, or cannot, be sent again. */
  #replay: Buffer[] | undefined = [];
  #replayBytes = 0;
  #inputEnded = false;
  readonly #senders: PromiseWithResolvers<void>[] = [];
  readonly #queue: Buffer[] = [];
  readonly #readers: PromiseWithResolvers<Message>[] = [];
  /** How the call ended, for whoever has read the last message. */
  #outcome: { readonly error: MeshError | undefined } | undefined;

  constructor(route: Route, call: ByteCall) {
    super(route, call);
  }

  send(message: Uint8Array): Promise<void> {
    if (this.ended || this.#inputEnded) return Promise.reject(this.#outcome?.error ?? callEnded());
    const frame = frameMessage(message);
    const { stream } = this;
    this.#keep(frame, stream !== undefined);
    // Not open yet: the frame goes out with the others in `begin`.
    if (stream !== undefined && writeFrame(stream, frame)) return this.route.context.turns.spent() ?? Promise.resolve();
    const sender = createLater<void>();
    this.#senders.push(sender);
    return sender.promise;
  }

  endInput(): void {
    if (this.#inputEnded) return;
    this.#inputEnded = true;
    this.stream?.end();
  }

  cancel(reason?: unknown): void {
    this.abort(reason === undefined ? callerGone() : abortError(reason));
  }

  iterate(): AsyncIterator<Uint8Array, undefined> {
    return {
      next: () => this.#read(),
      return: () => {
        this.#queue.length = 0;
        this.abort(callerGone());
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  protected override begin(stream: CallStream): void {
    let flowing = true;
    for (const frame of this.#replay ?? []) flowing = writeFrame(stream, frame);
    if (this.#replayBytes > this.route.context.settings.replayBytes) this.#replay = undefined;
    if (this.#inputEnded) stream.end();
    if (flowing) this.#letSendersGo();
  }

  protected override replayable(): boolean {
    return this.#replay !== undefined;
  }

  override onHeaders(headers: IncomingHttpHeaders, raw: RawHeaders, endOfStream: boolean): void {
    if (this.ended) return;
    if (endOfStream) return this.#finish(answerStatus(headers, raw), raw);
    const error = notGrpc(headers);
    if (error !== undefined) return this.abort(error);
    this.#replay = undefined;
    this.#decoder = answerDecoder(headers, this.route.context.settings.maxReceiveBytes);
    this.headers.resolve(answerMetadata(raw));
  }

  override onData(chunk: Buffer): void {
    if (this.ended || this.#decoder === undefined) return;
    try {
      this.#decoder.push(chunk, this);
    } catch (error) {
      this.abort(error as MeshError);
      return;
    }
    if (this.#queue.length > 0) this.stream?.pause();
  }

  onMessage(message: Buffer): void {
    if (this.answeredAtMs === 0) this.answeredAtMs = this.route.context.clock.monotonicMs();
    const reader = this.#readers.shift();
    if (reader === undefined) this.#queue.push(message);
    else reader.resolve({ done: false, value: message });
  }

  override onTrailers(headers: IncomingHttpHeaders, raw: RawHeaders): void {
    if (this.ended) return;
    // All data has come before the trailers; what a pause has left in the stream is taken, for the stream may soon be gone.
    this.stream?.read();
    if (this.ended) return;
    const cut = this.#decoder?.inMessage === true ? new MeshError(Code.INTERNAL, "the answer ends within a message") : undefined;
    this.#finish(answerStatus(headers, raw) ?? cut, raw);
  }

  override onDrain(): void {
    this.#letSendersGo();
  }

  #letSendersGo(): void {
    for (const sender of this.#senders.splice(0)) sender.resolve();
  }

  protected override fail(error: MeshError): void {
    this.#close(error, error.metadata);
  }

  /** The server has ended the call. */
  #finish(error: MeshError | undefined, rawTrailers: RawHeaders): void {
    this.settle(error?.code ?? Code.OK);
    const trailers = answerMetadata(rawTrailers);
    if (error === undefined) this.headers.resolve(trailers);
    this.#close(error, trailers);
    const { stream } = this;
    if (stream === undefined) return;
    stream.resume();
    // What is still being sent nobody reads.
    if (!stream.closed && !stream.writableFinished) stream.close(constants.NGHTTP2_CANCEL);
  }

  #close(error: MeshError | undefined, trailers: Metadata): void {
    this.#outcome = { error };
    this.#replay = undefined;
    if (error !== undefined) this.headers.reject(error);
    this.trailers.resolve(trailers);
    for (const sender of this.#senders.splice(0)) sender.reject(error ?? callEnded());
    for (const reader of this.#readers.splice(0)) {
      if (error === undefined) reader.resolve({ done: true, value: undefined });
      else reader.reject(error);
    }
  }

  #read(): Promise<Message> {
    const message = this.#queue.shift();
    if (message !== undefined) {
      if (this.#queue.length === 0) this.stream?.resume();
      const next: Message = { done: false, value: message };
      return this.route.context.turns.spent()?.then(() => next) ?? Promise.resolve(next);
    }
    if (this.#outcome === undefined) {
      const reader = Promise.withResolvers<Message>();
      this.#readers.push(reader);
      return reader.promise;
    }
    const { error } = this.#outcome;
    return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
  }

  #keep(frame: Buffer, isOpen: boolean): void {
    if (this.#replay === undefined) return;
    this.#replay.push(frame);
    this.#replayBytes += frame.length;
    // Before the stream is open the frames are still to be sent: `begin` lets them go.
    if (isOpen && this.#replayBytes > this.route.context.settings.replayBytes) this.#replay = undefined;
  }
}

function callEnded(): MeshError {
  return new MeshError(Code.CANCELLED, "the call has ended");
}
