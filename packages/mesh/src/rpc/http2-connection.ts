import { connect as connectHttp2, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, ClientSessionOptions, IncomingHttpHeaders, Settings } from "node:http2";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Random } from "../base/random.ts";
import { fromNodeError, fromResetCode } from "./from-node-error.ts";
import type { AttemptFailure } from "./from-node-error.ts";
import type { RawHeaders } from "./headers.ts";
import { createKeepalive } from "./keepalive.ts";
import type { Keepalive } from "./keepalive.ts";
import type { TransportSettings } from "./transport-settings.ts";

/**
 * Where a connection stands.
 * - `connecting`: until the peer's first SETTINGS frame has come.
 * - `ready`: takes calls.
 * - `draining`: takes no more; ends when its calls have (GOAWAY, age, or the endpoint has left its set).
 * - `closed`: for good; `error` says why.
 */
type State =
  | { readonly name: "connecting"; readonly stopTimer: () => void }
  | { readonly name: "ready"; readonly stopAge: () => void }
  | { readonly name: "draining" }
  | { readonly name: "closed"; readonly error: MeshError };

/** What a connection tells the one that opened it. */
export interface ConnectionOwner {
  /** It takes calls. */
  onReady(connection: Http2Connection): void;
  /** It has become suspect (`isSuspect`), or answers again. */
  onSuspect(connection: Http2Connection): void;
  /** A call has ended: there is room for another. */
  onRoom(connection: Http2Connection): void;
  /** Its calls wait for each other (`isSlow`). Called again and again while that lasts. */
  onSlow(): void;
  /** It takes no more calls; those that it has go on. `byPeer`: the peer has sent GOAWAY. */
  onDraining(connection: Http2Connection, byPeer: boolean): void;
  /** It is gone. `wasReady` is false if it never took calls. */
  onClosed(connection: Http2Connection, error: MeshError, wasReady: boolean): void;
}

/** What a stream tells its call. */
export interface StreamListener {
  /** True: the call needs to hear no more. */
  readonly ended: boolean;
  onHeaders(headers: IncomingHttpHeaders, raw: RawHeaders, endOfStream: boolean): void;
  onData(chunk: Buffer): void;
  onTrailers(headers: IncomingHttpHeaders, raw: RawHeaders): void;
  /** `writeFrame` has said that the stream is full: more may be written. */
  onDrain(): void;
  /** The stream is over, and the call had not ended. */
  onClose(failure: AttemptFailure): void;
}

// One set of functions for all streams: they find their call on the stream, so a call needs no closures.
const listenerOf: unique symbol = Symbol("listener");
const connectionOf: unique symbol = Symbol("connection");
const errorOf: unique symbol = Symbol("error");
const isFull: unique symbol = Symbol("is full");

/** A stream of a connection. */
export interface CallStream extends ClientHttp2Stream {
  [listenerOf]?: StreamListener;
  [connectionOf]?: Http2Connection;
  [errorOf]?: Error;
  [isFull]?: boolean;
}

/** Writes to a stream. False: it is full, and its listener will hear `onDrain`. */
export function writeFrame(stream: CallStream, frame: Buffer): boolean {
  if (stream.write(frame)) return true;
  // One that has been destroyed is not full, and will not drain: its end is on its way.
  if (stream[isFull] === true || !stream.writableNeedDrain) return false;
  if (stream[isFull] === undefined) {
    stream.on("drain", onDrain);
    // Instead of it, when the stream is ended while it is full.
    stream.on("finish", onDrain);
  }
  stream[isFull] = true;
  stream[connectionOf]?.streamFull();
  return false;
}

function onResponse(this: CallStream, headers: IncomingHttpHeaders, flags: number, raw?: RawHeaders): void {
  this[listenerOf]?.onHeaders(headers, raw ?? [], (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
}

function onData(this: CallStream, chunk: Buffer): void {
  this[listenerOf]?.onData(chunk);
}

function onTrailers(this: CallStream, headers: IncomingHttpHeaders, _flags: number, raw?: RawHeaders): void {
  this[listenerOf]?.onTrailers(headers, raw ?? []);
}

function onDrain(this: CallStream): void {
  if (this[isFull] !== true) return;
  this[isFull] = false;
  this[connectionOf]?.streamDrained();
  this[listenerOf]?.onDrain();
}

function onError(this: CallStream, error: Error): void {
  this[errorOf] = error;
}

function onClose(this: CallStream): void {
  this[connectionOf]?.streamClosed(this, this[listenerOf], this[errorOf]);
}

/** One HTTP/2 connection to an endpoint. Made by `EndpointConnections`, which owns it. Throws if the endpoint is no address. */
export class Http2Connection {
  readonly #endpoint: Endpoint;
  readonly #settings: TransportSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #session: ClientHttp2Session;
  #state: State;
  #streams = 0;
  #maxStreams = 0;
  #lastStreamId = Number.POSITIVE_INFINITY;
  /** Streams that wait for room, and since when there has always been one. */
  #fullStreams = 0;
  #fullSinceMs = 0;
  readonly #keepalive: Keepalive;
  /** True while the peer has not answered a PING for a while: it may be stopped, or only busy. */
  isSuspect = false;
  /** True once the peer has complained of too many PINGs. */
  tooManyPings = false;

  constructor(
    endpoint: Endpoint,
    owner: ConnectionOwner,
    options: {
      readonly settings: TransportSettings;
      readonly clock: Clock;
      readonly random: Random;
      readonly keepaliveAfterMs: number;
    },
  ) {
    const { settings, clock, random, keepaliveAfterMs } = options;
    this.#endpoint = endpoint;
    this.#owner = owner;
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
    this.#keepalive = this.#createKeepalive(keepaliveAfterMs);
    const authority = new URL(`http://${endpoint.key}`);
    this.#socket = connectTcp({ host: endpoint.host, port: endpoint.port, noDelay: true });
    // Before node:http2 listens: streams that it closes then find the state closed.
    this.#socket.once("error", (error) => this.#end(fromNodeError(error, endpoint.key)));
    this.#socket.once("close", () => this.#end(undefined));
    this.#session = this.#createSession(authority);
    const stopTimer = clock.after(settings.connectTimeoutMs, () => {
      this.destroy(fromNodeError(new Error(`no HTTP/2 settings within ${settings.connectTimeoutMs} ms`), endpoint.key));
    });
    this.#state = { name: "connecting", stopTimer };
  }

  /** True: `open` may be called. */
  get hasRoom(): boolean {
    return this.#state.name === "ready" && this.#streams < this.#maxStreams && !this.#session.closed && !this.#session.destroyed;
  }

  /**
   * True: a stream has been waiting for room for `slowAfterMs`, so that what is written to another waits behind it. The windows
   * of HTTP/2 are per stream, but the bytes that they let through share one TCP connection, in their order.
   */
  get isSlow(): boolean {
    return this.#fullStreams > 0 && this.#clock.monotonicMs() - this.#fullSinceMs >= this.#settings.slowAfterMs;
  }

  /** `:authority` of its requests. */
  get authority(): string {
    return this.#endpoint.key;
  }

  get isConnecting(): boolean {
    return this.#state.name === "connecting";
  }

  /** True: it takes calls, though it may be full. */
  get isReady(): boolean {
    return this.#state.name === "ready" && !this.#session.closed && !this.#session.destroyed;
  }

  /** Calls in flight. */
  get streams(): number {
    return this.#streams;
  }

  /** Opens a stream. Only with `hasRoom`. The listener hears of everything, at the earliest in the next tick. */
  open(headers: string[], listener: StreamListener): CallStream {
    const stream: CallStream = this.#session.request(headers, { endStream: false });
    this.#streams++;
    stream[listenerOf] = listener;
    stream[connectionOf] = this;
    stream.on("response", onResponse);
    stream.on("data", onData);
    stream.on("trailers", onTrailers);
    stream.on("error", onError);
    stream.on("close", onClose);
    this.#keepalive.start();
    return stream;
  }

  /** Called by `writeFrame`. */
  streamFull(): void {
    if (this.#fullStreams++ === 0) this.#fullSinceMs = this.#clock.monotonicMs();
    else if (this.isSlow && this.#state.name === "ready") this.#owner.onSlow();
  }

  /** Called by the streams of this connection when they take more. */
  streamDrained(): void {
    this.#fullStreams--;
  }

  /** Called by the streams of this connection when they close. */
  streamClosed(stream: CallStream, listener: StreamListener | undefined, error: Error | undefined): void {
    this.#streams--;
    if (stream[isFull] === true) {
      stream[isFull] = false;
      this.#fullStreams--;
    }
    if (listener?.ended === false) listener.onClose(this.#failureOf(stream, error));
    if (this.#state.name === "ready") this.#owner.onRoom(this);
  }

  /** Takes no more calls, and closes when those in flight have ended. */
  drain(): void {
    if (this.#state.name === "connecting") {
      this.destroy(fromNodeError(new Error("no longer needed"), this.#endpoint.key));
    } else if (this.#state.name === "ready") {
      this.#transition({ name: "draining" });
      this.#session.close();
      this.#owner.onDraining(this, false);
    }
  }

  /** Closes at once; calls in flight fail with UNAVAILABLE. */
  destroy(error: MeshError): void {
    this.#end(error);
    this.#session.destroy();
    this.#socket.destroy();
  }

  #createSession(authority: URL): ClientHttp2Session {
    const { streamWindowBytes, connectionWindowBytes } = this.#settings;
    const options: ClientSessionOptions & { readonly strictSingleValueFields: boolean } = {
      createConnection: () => this.#socket,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes },
      // In megabytes. node:http2 refuses streams above it; windows and deadlines bound the memory here.
      maxSessionMemory: 4_096,
      // Metadata may repeat any name.
      strictSingleValueFields: false,
    };
    const session = connectHttp2(authority, options);
    session.once("connect", () => {
      if (!session.destroyed) session.setLocalWindowSize(connectionWindowBytes);
    });
    session.on("remoteSettings", (remote: Settings) => this.#onSettings(remote));
    session.on("goaway", (code, lastStreamId, data) => this.#onGoaway(code, lastStreamId, data));
    session.on("error", (error) => this.#end(fromNodeError(error, this.#endpoint.key)));
    session.once("close", () => this.#end(undefined));
    return session;
  }

  #transition(next: State): void {
    const state = this.#state;
    if (state.name === "connecting") state.stopTimer();
    else if (state.name === "ready") state.stopAge();
    this.#state = next;
  }

  #onSettings(remote: Settings): void {
    this.#maxStreams = remote.maxConcurrentStreams ?? Number.POSITIVE_INFINITY;
    if (this.#state.name === "connecting") {
      const { maxConnectionAgeMs, maxConnectionAgeJitter } = this.#settings;
      const ageMs = maxConnectionAgeMs * (1 + maxConnectionAgeJitter * (2 * this.#random() - 1));
      this.#transition({ name: "ready", stopAge: this.#clock.after(ageMs, () => this.drain()) });
      this.#owner.onReady(this);
    } else if (this.hasRoom) this.#owner.onRoom(this);
  }

  #onGoaway(code: number, lastStreamId: number, data: Uint8Array | undefined): void {
    this.#lastStreamId = Math.min(this.#lastStreamId, lastStreamId);
    if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM && data !== undefined && Buffer.from(data).toString() === "too_many_pings") {
      this.tooManyPings = true;
    }
    if (this.#state.name === "connecting") this.#end(fromNodeError(new Error("the peer is going away"), this.#endpoint.key));
    else if (this.#state.name === "ready") {
      this.#transition({ name: "draining" });
      this.#owner.onDraining(this, true);
    }
  }

  #end(error: MeshError | undefined): void {
    const state = this.#state;
    if (state.name === "closed") return;
    this.#keepalive.stop();
    const reason = error ?? fromNodeError(undefined, this.#endpoint.key);
    this.#transition({ name: "closed", error: reason });
    this.#owner.onClosed(this, reason, state.name !== "connecting");
  }

  /** Decides what became of a stream, and whether its request can have reached a handler. */
  #failureOf(stream: CallStream, error: Error | undefined): AttemptFailure {
    const { id, rstCode } = stream;
    const refused = rstCode === constants.NGHTTP2_REFUSED_STREAM || id === undefined || id > this.#lastStreamId;
    if (refused) {
      return { error: fromNodeError(new Error("the peer did not take the call"), this.#endpoint.key), sent: false };
    }
    if (this.#state.name === "closed") return { error: this.#state.error, sent: true };
    if (this.#session.destroyed) return { error: fromNodeError(error, this.#endpoint.key), sent: true };
    return { error: fromResetCode(rstCode ?? 0, this.#endpoint.key), sent: true };
  }

  #createKeepalive(afterMs: number): Keepalive {
    const { keepaliveSuspectMs: suspectMs, keepaliveTimeoutMs: timeoutMs } = this.#settings;
    return createKeepalive({
      clock: this.#clock,
      afterMs,
      suspectMs,
      timeoutMs,
      bytesRead: () => this.#socket.bytesRead,
      isBusy: () => this.#streams > 0,
      ping: (onAnswer) => {
        if (this.#session.destroyed) return;
        this.#session.ping((error) => {
          if (error === null) onAnswer();
        });
      },
      onSuspect: (isSuspect) => {
        this.isSuspect = isSuspect;
        this.#owner.onSuspect(this);
      },
      onSilence: () => {
        const detail = `${this.#endpoint.key} has not answered a PING for ${timeoutMs} ms`;
        this.destroy(new MeshError(Code.UNAVAILABLE, detail, { reason: "CONNECTION_FAILED" }));
      },
    });
  }
}
