import type { EnvReader } from "../base/env-reader.ts";

/** The numbers in force when the environment says nothing. */
export const serverDefaults = {
  /** Address that is listened on: this machine alone. */
  listenHost: "127.0.0.1",
  /** Longest time from the start of a drain to the end of the process. */
  drainTimeoutMs: 10_000,
  /** How long a drain keeps serving for clients that have not seen the deregistration yet. */
  drainNoticeMs: 1_000,
  /** Largest message that is received, after decompression (`grpc.max_receive_message_length`). */
  maxMessageBytes: 4_194_304,
  /** Largest header block of a call (SETTINGS_MAX_HEADER_LIST_SIZE). */
  maxHeaderBytes: 16_384,
  /** Calls that one connection may have open (SETTINGS_MAX_CONCURRENT_STREAMS). */
  maxConcurrentStreams: 1_000,
  /** After how much silence a connection is pinged (`grpc.keepalive_time_ms`). */
  keepaliveTimeMs: 30_000,
  /** How long a ping may take before its connection is closed (`grpc.keepalive_timeout_ms`). */
  keepaliveTimeoutMs: 10_000,
} as const;

/** Where a server listens, what it tells others, and its limits. */
export interface ServerConfig {
  /** Host that is listened on. MESH_LISTEN_HOST, default 127.0.0.1. */
  readonly listenHost: string;
  /** Port that is listened on; 0 takes a free one. MESH_LISTEN_PORT. */
  readonly listenPort: number;
  /** Host that others call. MESH_ADVERTISE_HOST, default: the listen host. */
  readonly advertiseHost: string;
  /** Port that others call; 0 is the port that was bound. MESH_ADVERTISE_PORT, default 0. */
  readonly advertisePort: number;
  /** Port of the admin listener on 127.0.0.1; 0 takes a free one. MESH_ADMIN_PORT, default 0. */
  readonly adminPort: number;
  /** Longest drain, in ms. MESH_DRAIN_TIMEOUT_MS, default 10,000. */
  readonly drainTimeoutMs: number;
  /** How long a drain keeps serving, in ms. MESH_DRAIN_NOTICE_MS, default 1,000. */
  readonly drainNoticeMs: number;
  /** Zone of this instance, for its registration. MESH_ZONE, default: none. */
  readonly zone?: string;
  /** File that is written once the server is ready. MESH_READY_FILE, default: none. */
  readonly readyFile?: string;
  /** Largest message, in bytes. MESH_MAX_MESSAGE_BYTES, default 4 MiB. */
  readonly maxMessageBytes: number;
  /** Largest header block, in bytes. MESH_MAX_HEADER_BYTES, default 16 KiB. */
  readonly maxHeaderBytes: number;
  /** Open calls a connection. MESH_MAX_CONCURRENT_STREAMS, default 1,000. */
  readonly maxConcurrentStreams: number;
  /** Silence before a ping, in ms. MESH_KEEPALIVE_TIME_MS, default 30,000. */
  readonly keepaliveTimeMs: number;
  /** Longest ping, in ms. MESH_KEEPALIVE_TIMEOUT_MS, default 10,000. */
  readonly keepaliveTimeoutMs: number;
}

const wildcards: ReadonlySet<string> = new Set(["0.0.0.0", "::", "0", "*"]);

/**
 * Reads the settings of a server. Problems go to the reader, which reports all of them at once.
 *
 * @param defaults `port`: what is listened on when MESH_LISTEN_PORT is not set; 0, the default, takes a free port.
 */
export function readServerConfig(reader: EnvReader, defaults: { readonly port?: number } = {}): ServerConfig {
  const listenHost = readHost(reader, "MESH_LISTEN_HOST", serverDefaults.listenHost);
  const advertiseHost = readHost(reader, "MESH_ADVERTISE_HOST", listenHost);
  if (wildcards.has(advertiseHost)) {
    reader.problem(`MESH_ADVERTISE_HOST is "${advertiseHost}", which others cannot call: set it to an address of this machine`);
  }
  const listenPort = reader.port("MESH_LISTEN_PORT", defaults.port ?? 0);
  const adminPort = reader.port("MESH_ADMIN_PORT", 0);
  if (adminPort !== 0 && adminPort === listenPort) reader.problem(`MESH_ADMIN_PORT and MESH_LISTEN_PORT are both ${adminPort}`);
  const ms = (name: string, fallback: number, min: number): number => reader.integer(name, fallback, { min, max: 3_600_000 });
  const drainTimeoutMs = ms("MESH_DRAIN_TIMEOUT_MS", serverDefaults.drainTimeoutMs, 100);
  const drainNoticeMs = ms("MESH_DRAIN_NOTICE_MS", Math.min(serverDefaults.drainNoticeMs, Math.floor(drainTimeoutMs / 2)), 0);
  if (drainNoticeMs >= drainTimeoutMs) {
    reader.problem(`MESH_DRAIN_NOTICE_MS is ${drainNoticeMs}, which leaves nothing of MESH_DRAIN_TIMEOUT_MS, ${drainTimeoutMs}`);
  }
  const zone = reader.optionalText("MESH_ZONE");
  const readyFile = reader.optionalText("MESH_READY_FILE");
  return Object.freeze({
    listenHost,
    listenPort,
    advertiseHost,
    advertisePort: reader.port("MESH_ADVERTISE_PORT", 0),
    adminPort,
    drainTimeoutMs,
    drainNoticeMs,
    ...(zone === undefined ? {} : { zone }),
    ...(readyFile === undefined ? {} : { readyFile }),
    maxMessageBytes: reader.integer("MESH_MAX_MESSAGE_BYTES", serverDefaults.maxMessageBytes, { min: 1_024, max: 2 ** 30 }),
    maxHeaderBytes: reader.integer("MESH_MAX_HEADER_BYTES", serverDefaults.maxHeaderBytes, { min: 4_096, max: 2 ** 20 }),
    maxConcurrentStreams: reader.integer("MESH_MAX_CONCURRENT_STREAMS", serverDefaults.maxConcurrentStreams, {
      min: 1,
      max: 2 ** 20,
    }),
    keepaliveTimeMs: ms("MESH_KEEPALIVE_TIME_MS", serverDefaults.keepaliveTimeMs, 1_000),
    keepaliveTimeoutMs: ms("MESH_KEEPALIVE_TIMEOUT_MS", serverDefaults.keepaliveTimeoutMs, 100),
  });
}

/** A host name or an IP address; brackets around an IPv6 address are taken off. */
function readHost(reader: EnvReader, name: string, fallback: string): string {
  const text = reader.text(name, fallback);
  const host = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (/^[\w.:%-]+$/.test(host)) return host;
  reader.problem(`${name} is "${text}", which is no host name and no IP address`);
  return fallback;
}
