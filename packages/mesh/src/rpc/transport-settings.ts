/** What can be set about the connections and calls of a transport. */
export interface TransportSettings {
  /** Longest time from the start of a connection to the peer's first SETTINGS frame (gRPC: MIN_CONNECT_TIMEOUT), in ms. Default: 2,000. */
  readonly connectTimeoutMs: number;
  /** How long calls wait for a connection before they are made elsewhere; it is still attempted meanwhile, in ms. Default: 500. */
  readonly connectPatienceMs: number;
  /** Silence of a connection with calls in flight after which a PING is sent (gRPC A8: keepalive time), in ms. Default: 400. */
  readonly keepaliveAfterMs: number;
  /** Silence after that PING from which on calls go to other endpoints; those in flight go on, in ms. Default: 400. */
  readonly keepaliveSuspectMs: number;
  /** Silence after that PING which ends the connection and its calls (gRPC A8: keepalive timeout), in ms. Default: 1,600. */
  readonly keepaliveTimeoutMs: number;
  /** Silence before a PING to a peer that has complained of too many PINGs, in ms. Default: 300,000, what Go and C++ servers allow. */
  readonly keepaliveToleratedMs: number;
  /** Age at which a connection takes no more calls (gRPC A9: max connection age), in ms. Default: 1,800,000. */
  readonly maxConnectionAgeMs: number;
  /** Spread of that age, as a ratio: 0.1 is from 90 % to 110 %. Default: 0.1. */
  readonly maxConnectionAgeJitter: number;
  /** Cap of the first wait between two attempts to connect to an endpoint; it doubles, with full jitter, in ms. Default: 50. */
  readonly reconnectBaseMs: number;
  /** Cap of all those waits, in ms. Default: 2,000. */
  readonly reconnectMaxMs: number;
  /** How long a stream of a connection waits for room before calls go on another connection, in ms. Default: 50. */
  readonly slowAfterMs: number;
  /**
   * Connections to one endpoint; a further one is opened when all others are at the peer's stream limit, or slow (`slowAfterMs`).
   * Default: 8.
   */
  readonly maxConnectionsPerEndpoint: number;
  /** How long connections to an endpoint that is in no set stay open without calls, in ms. Default: 30,000. */
  readonly idleTimeoutMs: number;
  /** Largest message that is accepted, also after it was inflated, in bytes. Default: 4 MiB. */
  readonly maxReceiveBytes: number;
  /** HTTP/2 window of one stream: what is read ahead of a slow consumer, in bytes. Default: 256 KiB. */
  readonly streamWindowBytes: number;
  /** HTTP/2 window of a connection, in bytes. Default: 4 MiB. */
  readonly connectionWindowBytes: number;
  /** Wait for the first endpoint set of a service, in ms; the deadline may be sooner. Default: 2,000. */
  readonly firstSetTimeoutMs: number;
  /** First wait when no endpoint is left to try; it doubles, from half to the whole of it by chance, in ms. Default: 25. */
  readonly repickBaseMs: number;
  /** Cap of those waits, in ms. Default: 400. */
  readonly repickMaxMs: number;
  /** How long a call that finds no endpoint waits for one in all, in ms; the deadline may be sooner. Default: 2,000. */
  readonly repickLimitMs: number;
  /** Attempts of a call that is never sent. Default: 64. */
  readonly maxAttempts: number;
  /** What a stream keeps of its sent messages until the answer begins, to send them again on another connection, in bytes. Default: 256 KiB. */
  readonly replayBytes: number;
}

/** The defaults of a transport. */
export const transportDefaults: TransportSettings = {
  connectTimeoutMs: 2_000,
  connectPatienceMs: 500,
  keepaliveAfterMs: 400,
  keepaliveSuspectMs: 400,
  keepaliveTimeoutMs: 1_600,
  keepaliveToleratedMs: 300_000,
  maxConnectionAgeMs: 1_800_000,
  maxConnectionAgeJitter: 0.1,
  reconnectBaseMs: 50,
  reconnectMaxMs: 2_000,
  slowAfterMs: 50,
  maxConnectionsPerEndpoint: 8,
  idleTimeoutMs: 30_000,
  maxReceiveBytes: 4 * 1024 * 1024,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 4 * 1024 * 1024,
  firstSetTimeoutMs: 2_000,
  repickBaseMs: 25,
  repickMaxMs: 400,
  repickLimitMs: 2_000,
  maxAttempts: 64,
  replayBytes: 256 * 1024,
};
