import { constants } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import type { Pick } from "../balancing/picker.ts";
import { Code } from "../base/code.ts";
import type { Code as StatusCode } from "../base/code.ts";
import { callerGone, deadlinePassed } from "../base/deadline.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { ConnectionWaiter, EndpointConnections } from "./endpoint-connections.ts";
import type { AttemptFailure } from "./from-node-error.ts";
import { requestHeaders } from "./headers.ts";
import type { RawHeaders } from "./headers.ts";
import type { CallStream, Http2Connection, StreamListener } from "./http2-connection.ts";
import type { Route } from "./route.ts";
import type { ByteCall } from "./transport.ts";

/** The error of a call whose signal aborts: the reason, if it is an error of ours. */
export function abortError(reason: unknown): MeshError {
  return reason instanceof MeshError ? reason : callerGone(reason);
}

/**
 * Cancels a stream. node:http2 ends a request that is still open before it resets the stream, and the server takes what it
 * has for all of it: an upload that breaks off would count as complete. Without the final step only the reset is sent.
 */
function cancelStream(stream: CallStream): void {
  stream._final = (done) => done();
  stream.close(constants.NGHTTP2_CANCEL);
}

/**
 * One call, from its first pick to its end. An attempt that was never sent is made again on another endpoint; when none is
 * left, after a wait, from the start, until the deadline or `repickLimitMs`.
 *
 * States: picking (no stream; it waits for a connection, for the back-off or for endpoints), open (`stream` is there), ended.
 * The unary and the streaming call say what is sent and what becomes of the answer.
 */
export abstract class PickedCall implements StreamListener, ConnectionWaiter {
  protected readonly route: Route;
  protected readonly call: ByteCall;
  protected stream: CallStream | undefined;
  ended = false;
  /** When the first message, or the end, of the attempt came; 0 before that. */
  protected answeredAtMs = 0;
  #pick: Pick | undefined;
  #attemptAtMs = 0;
  #attempts = 0;
  #excluded: Set<string> | undefined;
  #waitingFor: EndpointConnections | undefined;
  #lastError: MeshError | undefined;
  #exhaustedAtMs = 0;
  #rounds = 0;
  #stopDeadline: (() => void) | undefined;
  #stopWait: (() => void) | undefined;

  constructor(route: Route, call: ByteCall) {
    this.route = route;
    this.call = call;
  }

  /** Sends what there is to send on the stream that has just been opened. */
  protected abstract begin(stream: CallStream): void;
  /** The call has failed; nothing more will come. Called once, and not after `settle`. */
  protected abstract fail(error: MeshError): void;

  abstract onHeaders(headers: IncomingHttpHeaders, raw: RawHeaders, endOfStream: boolean): void;
  abstract onData(chunk: Buffer): void;
  abstract onTrailers(headers: IncomingHttpHeaders, raw: RawHeaders): void;

  /** Starts the call. */
  start(): void {
    const { signal, deadline } = this.call;
    if (signal?.aborted === true) return this.abort(abortError(signal.reason));
    const { clock } = this.route.context;
    const leftMs = deadline - clock.monotonicMs();
    if (leftMs <= 0) return this.abort(deadlinePassed(0));
    // Timers of more than 2^31 ms fire at once; a deadline that far away is none.
    if (leftMs < 2 ** 31) this.#stopDeadline = clock.after(leftMs, () => this.abort(deadlinePassed(leftMs)));
    signal?.addEventListener("abort", this);
    this.#next();
  }

  /** Called by the signal: the call listens by itself, so that it needs no closure. */
  handleEvent(): void {
    this.abort(abortError(this.call.signal?.reason));
  }

  get endpoint(): Endpoint | undefined {
    return this.#pick?.endpoint;
  }

  onConnection(connection: Http2Connection): void {
    this.#waitingFor = undefined;
    this.#open(connection);
  }

  onConnectionFailed(error: MeshError): void {
    this.#waitingFor = undefined;
    this.#neverSent(error);
    this.#next();
  }

  /** Only a stream writes more than what it begins with. */
  onDrain(): void {}

  onClose({ error, sent }: AttemptFailure): void {
    if (sent || !this.replayable()) return this.abort(error);
    this.stream = undefined;
    this.#neverSent(error);
    this.#next();
  }

  /** False: what was sent is not known any more, and cannot be sent again. */
  protected replayable(): boolean {
    return true;
  }

  /** The call has its answer. */
  protected settle(code: StatusCode): void {
    this.#finish(code, true);
  }

  /** Ends the call with an error, and cancels it at the server unless it has ended there. */
  protected abort(error: MeshError): void {
    if (this.ended) return;
    const { stream } = this;
    this.#finish(error.code, stream !== undefined);
    if (stream !== undefined && !stream.closed) cancelStream(stream);
    this.fail(error);
  }

  #finish(code: StatusCode, sent: boolean): void {
    this.ended = true;
    this.#stopDeadline?.();
    this.#stopWait?.();
    this.call.signal?.removeEventListener("abort", this);
    this.#waitingFor?.stopWaiting(this);
    this.#done(code, sent);
  }

  #done(code: StatusCode, sent: boolean): void {
    if (this.#pick === undefined) return;
    const endedAtMs = this.answeredAtMs === 0 ? this.route.context.clock.monotonicMs() : this.answeredAtMs;
    this.#pick.done({ code, latencyMs: endedAtMs - this.#attemptAtMs, sent });
  }

  #neverSent(error: MeshError): void {
    this.#lastError = error;
    const key = this.#pick?.endpoint.key;
    if (key !== undefined) (this.#excluded ??= new Set()).add(key);
    this.#done(Code.UNAVAILABLE, false);
    this.route.context.meter.count("mesh_rpc_repicks_total");
  }

  #next(): void {
    for (;;) {
      if (this.ended) return;
      if (this.route.closed !== undefined) return this.abort(this.route.closed);
      if (this.#attempts++ >= this.route.context.settings.maxAttempts)
        return this.abort(this.#lastError ?? this.route.noInstance());
      const pick = this.route.pick(this.#excluded);
      if (pick === undefined) return this.#waitForEndpoint();
      this.#pick = pick;
      this.#attemptAtMs = this.route.context.clock.monotonicMs();
      const connections = this.route.connections(pick.endpoint);
      const connection = connections.ready();
      if (connection !== undefined) return this.#open(connection);
      const failure = connections.wait(this);
      if (failure === undefined) {
        this.#waitingFor = connections;
        return;
      }
      this.#neverSent(failure);
    }
  }

  #open(connection: Http2Connection): void {
    const { path, metadata, deadline } = this.call;
    const leftMs = deadline - this.route.context.clock.monotonicMs();
    let stream: CallStream;
    try {
      stream = connection.open(requestHeaders(path, connection.authority, metadata, leftMs), this);
    } catch (error) {
      // Names and values that cannot be sent, on this or any other connection.
      this.abort(error instanceof MeshError ? error : new MeshError(Code.INTERNAL, "the call cannot be sent", { cause: error }));
      return;
    }
    this.stream = stream;
    this.begin(stream);
  }

  /** Nothing is left to pick: waits for endpoints, or for those that failed to come back. */
  #waitForEndpoint(): void {
    const { clock, random, settings } = this.route.context;
    const nowMs = clock.monotonicMs();
    this.#exhaustedAtMs ||= nowMs;
    const known = this.route.isKnown;
    const limitMs = known ? settings.repickLimitMs : settings.firstSetTimeoutMs;
    const leftMs = this.#exhaustedAtMs + limitMs - nowMs;
    if (leftMs <= 0) return this.abort(this.#lastError ?? this.route.noInstance());
    const backoffMs = Math.min(settings.repickMaxMs, settings.repickBaseMs * 2 ** this.#rounds++) * (1 + random()) * 0.5;
    const again = (): void => {
      this.#stopWait?.();
      this.#stopWait = undefined;
      this.#excluded?.clear();
      this.#next();
    };
    const stopTimer = clock.after(known ? Math.min(backoffMs, leftMs) : leftMs, again);
    const stopWatching = this.route.onChange(again);
    this.#stopWait = () => {
      stopTimer();
      stopWatching();
    };
  }
}
