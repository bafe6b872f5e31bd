import type { Clock } from "../base/clock.ts";
import type { Endpoint } from "../base/endpoint.ts";
import type { Logger } from "../base/logger.ts";
import type { MeshError } from "../base/mesh-error.ts";
import type { Meter } from "../base/meter.ts";
import { fullJitterMs } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import type { TurnBudget } from "../base/turn-budget.ts";
import { fromNodeError } from "./from-node-error.ts";
import { Http2Connection } from "./http2-connection.ts";
import type { ConnectionOwner } from "./http2-connection.ts";
import type { TransportSettings } from "./transport-settings.ts";

/** What connections and calls need of the process. */
export interface RpcContext {
  readonly settings: TransportSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  /** Shared by all streams. */
  readonly turns: TurnBudget;
}

/** A call that waits for a connection. */
export interface ConnectionWaiter {
  /** There is room: the stream has to be opened at once. */
  onConnection(connection: Http2Connection): void;
  /** There will be none: the call was never sent. */
  onConnectionFailed(error: MeshError): void;
}

function lessLoaded(one: Http2Connection | undefined, other: Http2Connection): Http2Connection {
  return one === undefined || other.streams < one.streams ? other : one;
}

// A connection that ends sooner counts as a failed attempt to connect: a peer that crashes at each call is not stormed.
const steadyAfterMs = 1_000;

/**
 * The connections to one endpoint, opened when calls need them: one, and more only while all are at the peer's stream
 * limit, or slow. After a failure the next attempt waits (50 ms to 2 s, full jitter); calls fail at once meanwhile, as never sent.
 * While the endpoint is in a set that attempt needs no call, so no call has to find out whether it is back.
 * States: open, and closed for good after `close`.
 */
export class EndpointConnections implements ConnectionOwner {
  readonly endpoint: Endpoint;
  readonly #context: RpcContext;
  readonly #onIdle: () => void;
  readonly #isHeld: () => boolean;
  readonly #connections: Http2Connection[] = [];
  readonly #draining = new Set<Http2Connection>();
  readonly #waiters = new Set<ConnectionWaiter>();
  readonly #readyAtMs = new WeakMap<Http2Connection, number>();
  #discarded = false;
  #failures = 0;
  #nextAttemptMs = 0;
  #lastError: MeshError | undefined;
  #stopReconnect: (() => void) | undefined;
  #keepaliveAfterMs: number;

  /** `onIdle` is called whenever the last call here has ended; `isHeld` says whether the endpoint is in a set. */
  constructor(
    endpoint: Endpoint,
    context: RpcContext,
    { onIdle, isHeld }: { readonly onIdle: () => void; readonly isHeld: () => boolean },
  ) {
    this.endpoint = endpoint;
    this.#context = context;
    this.#onIdle = onIdle;
    this.#isHeld = isHeld;
    this.#keepaliveAfterMs = context.settings.keepaliveAfterMs;
  }

  /** True: no call is in flight or waiting. */
  get isIdle(): boolean {
    return this.#waiters.size === 0 && this.#connections.every(({ streams }) => streams === 0);
  }

  /** True: calls had better go elsewhere. The endpoint does not answer, or could not be reached when last tried. */
  get isDoubtful(): boolean {
    let isSuspect = false;
    for (const connection of this.#connections) {
      if (connection.isSuspect) isSuspect = true;
      else if (connection.isReady) return false;
    }
    return isSuspect || this.#lastError !== undefined;
  }

  /** The endpoint has come into a set: if it could not be reached before, it is tried again without a call. */
  hold(): void {
    if (this.#lastError !== undefined && this.#connections.length === 0) this.#reconnectLater();
  }

  /** A connection that takes a call right now, or undefined: then `wait`. While all are slow, a further one is opened meanwhile. */
  ready(): Http2Connection | undefined {
    let slow: Http2Connection | undefined;
    let suspect: Http2Connection | undefined;
    for (const connection of this.#connections) {
      if (!connection.hasRoom) continue;
      if (connection.isSuspect) suspect ??= connection;
      else if (!connection.isSlow) return connection;
      else slow = lessLoaded(slow, connection);
    }
    if (slow !== undefined) this.#connectAnother();
    return slow ?? suspect;
  }

  /** Waits for a connection; opens one if that may help. Gives the error, and does not wait, while the back-off lasts. */
  wait(waiter: ConnectionWaiter): MeshError | undefined {
    this.#connectAnother();
    if (this.#connections.length === 0) return this.#lastError ?? fromNodeError(undefined, this.endpoint.key);
    this.#waiters.add(waiter);
    return undefined;
  }

  /** The call waits no longer. */
  stopWaiting(waiter: ConnectionWaiter): void {
    this.#waiters.delete(waiter);
  }

  /** Closes each connection when its calls have ended, and opens no other. */
  drain(): void {
    this.#discard();
    for (const connection of [...this.#connections]) connection.drain();
  }

  /** Closes everything; calls in flight and waiting fail. */
  close(error: MeshError): void {
    this.#discard();
    for (const connection of [...this.#connections, ...this.#draining]) connection.destroy(error);
    this.#failWaiters(error);
  }

  onReady(connection: Http2Connection): void {
    const { clock, logger, meter } = this.#context;
    this.#readyAtMs.set(connection, clock.monotonicMs());
    meter.count("mesh_rpc_connections_total", { result: "ready" });
    if (this.#lastError !== undefined) logger.info({ endpoint: this.endpoint.key }, "the endpoint can be reached again");
    this.#lastError = undefined;
    this.onRoom(connection);
  }

  onSuspect({ isSuspect }: Http2Connection): void {
    const { logger, meter } = this.#context;
    const endpoint = this.endpoint.key;
    if (!isSuspect) return logger.info({ endpoint }, "the endpoint answers again");
    meter.count("mesh_rpc_suspects_total");
    logger.warn({ endpoint }, "the endpoint does not answer: calls go to others");
  }

  onSlow(): void {
    // Before a call needs it: connecting takes a round trip.
    if (this.#connections.every(({ isReady, isSlow }) => isReady && isSlow)) this.#connectMore();
  }

  onRoom(connection: Http2Connection): void {
    for (const waiter of this.#waiters) {
      if (!connection.hasRoom) break;
      this.#waiters.delete(waiter);
      waiter.onConnection(connection);
    }
    // A new connection was full before all were served.
    if (this.#waiters.size > 0) this.#connectAnother();
    if (connection.streams === 0 && this.isIdle) this.#onIdle();
  }

  onDraining(connection: Http2Connection, byPeer: boolean): void {
    this.#remove(connection);
    if (byPeer && !this.#wasSteady(connection)) this.#delayNext();
    this.#draining.add(connection);
    this.#serveWaiters();
  }

  onClosed(connection: Http2Connection, error: MeshError, wasReady: boolean): void {
    const { meter } = this.#context;
    const wasDraining = this.#draining.delete(connection);
    this.#remove(connection);
    if (!wasDraining) {
      meter.count("mesh_rpc_connections_total", { result: wasReady ? "lost" : "failed" });
      if (this.#wasSteady(connection)) this.#failures = 0;
      else this.#delayNext();
      this.#doubt(error);
    }
    this.#serveWaiters();
    if (this.isIdle) this.#onIdle();
  }

  /** After a connection has gone: those who wait get another, or are sent away. */
  #serveWaiters(): void {
    if (this.#waiters.size === 0 || this.#connections.length > 0) return;
    this.#connectMore();
    if (this.#connections.length === 0) this.#failWaiters(this.#lastError ?? fromNodeError(undefined, this.endpoint.key));
  }

  #connectAnother(): void {
    if (!this.#connections.some(({ isConnecting }) => isConnecting)) this.#connectMore();
  }

  #connectMore(): void {
    const { clock, settings } = this.#context;
    const allowed = !this.#discarded && clock.monotonicMs() >= this.#nextAttemptMs;
    if (allowed && this.#connections.length < settings.maxConnectionsPerEndpoint) this.#connect();
  }

  #connect(): void {
    const { settings, clock, random } = this.#context;
    const options = { settings, clock, random, keepaliveAfterMs: this.#keepaliveAfterMs };
    try {
      const connection = new Http2Connection(this.endpoint, this, options);
      this.#connections.push(connection);
      clock.after(settings.connectPatienceMs, () => this.#losePatience(connection));
    } catch (cause) {
      // The registry can list what is no address at all.
      this.#delayNext();
      this.#doubt(fromNodeError(cause, this.endpoint.key));
    }
  }

  /** A connection that takes long is still attempted, but nobody who has a choice waits for it. */
  #losePatience(connection: Http2Connection): void {
    if (!connection.isConnecting || this.#connections.some(({ isReady }) => isReady)) return;
    const detail = `no HTTP/2 settings within ${this.#context.settings.connectPatienceMs} ms`;
    const error = fromNodeError(new Error(detail), this.endpoint.key);
    this.#doubt(error);
    this.#failWaiters(error);
  }

  /** The endpoint cannot be reached: calls avoid it, and while it is in a set it is tried again without them. */
  #doubt(error: MeshError): void {
    if (this.#discarded) return;
    const { logger } = this.#context;
    if (this.#lastError === undefined) {
      logger.warn({ endpoint: this.endpoint.key, err: error.detail }, "no connection to the endpoint");
    }
    this.#lastError = error;
    this.#reconnectLater();
  }

  #reconnectLater(): void {
    if (this.#stopReconnect !== undefined || this.#discarded || !this.#isHeld()) return;
    const { clock } = this.#context;
    // A timer may fire a fraction of a millisecond early.
    this.#stopReconnect = clock.after(Math.max(0, this.#nextAttemptMs - clock.monotonicMs()) + 1, () => {
      this.#stopReconnect = undefined;
      if (this.#connections.length > 0) return;
      this.#connectMore();
      // A call has been quicker, and has failed: the next attempt has moved.
      if (this.#connections.length === 0) this.#reconnectLater();
    });
  }

  #delayNext(): void {
    const { clock, random, settings } = this.#context;
    const backoff = { baseMs: settings.reconnectBaseMs, maxMs: settings.reconnectMaxMs };
    this.#nextAttemptMs = clock.monotonicMs() + fullJitterMs(this.#failures, backoff, random);
    this.#failures++;
  }

  #discard(): void {
    this.#discarded = true;
    this.#stopReconnect?.();
    this.#stopReconnect = undefined;
  }

  #wasSteady(connection: Http2Connection): boolean {
    const readyAtMs = this.#readyAtMs.get(connection);
    return readyAtMs !== undefined && this.#context.clock.monotonicMs() - readyAtMs >= steadyAfterMs;
  }

  #remove(connection: Http2Connection): void {
    if (connection.tooManyPings)
      this.#keepaliveAfterMs = Math.max(this.#keepaliveAfterMs, this.#context.settings.keepaliveToleratedMs);
    const index = this.#connections.indexOf(connection);
    if (index >= 0) this.#connections.splice(index, 1);
  }

  #failWaiters(error: MeshError): void {
    for (const waiter of [...this.#waiters]) {
      this.#waiters.delete(waiter);
      waiter.onConnectionFailed(error);
    }
  }
}
