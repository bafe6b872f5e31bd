/** Bounds of what clients may send and hold open. */
export interface HttpLimits {
  /** Largest body, also after its content coding is undone, in bytes. Default: 4 MiB (that of gRPC). */
  readonly maxBodyBytes: number;
  /** Largest header section, in bytes. Default: 16 KiB. */
  readonly maxHeaderBytes: number;
  /** Longest path and query, in bytes. Default: 8 KiB. */
  readonly maxUrlBytes: number;
  /** How long a client may take for the header section, or for its first bytes on a connection. Default: 10,000 ms. */
  readonly headersTimeoutMs: number;
  /** How long a client may take for a whole request over HTTP/1. Default: 60,000 ms. */
  readonly requestTimeoutMs: number;
  /** How long an idle connection stays open. Default: 60,000 ms. */
  readonly keepAliveTimeoutMs: number;
  /** How long a client may leave an answer unread. Default: 30,000 ms. */
  readonly stallTimeoutMs: number;
  /** Requests at once on one HTTP/2 connection. Default: 100 (Envoy, edge best practices). */
  readonly maxStreams: number;
  /**
   * HTTP/2 window of a connection, in bytes: what all its streams may send ahead, each within the 64 KiB of its own. With no more
   * than those, one upload leaves nothing to the requests beside it. Default: 1 MiB (Envoy, edge best practices).
   */
  readonly connectionWindowBytes: number;
}

/** The limits in force where a configuration says nothing. */
export const defaultLimits: HttpLimits = {
  maxBodyBytes: 4_194_304,
  maxHeaderBytes: 16_384,
  maxUrlBytes: 8_192,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 60_000,
  stallTimeoutMs: 30_000,
  maxStreams: 100,
  connectionWindowBytes: 1_048_576,
};

/** Header fields of one request; more are refused, whatever their size. */
export const maxHeaderFields = 200;
