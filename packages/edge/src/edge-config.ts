import type { EnvReader } from "@protoloom/mesh";
import type { EdgeOptions } from "./edge.ts";
import { defaultForwardedHeaders } from "./http/forwarded-headers.ts";
import { defaultLimits } from "./http/limits.ts";

/** The settings of an edge process: options of createEdge, and the file that tells a launcher when it is ready. */
export type EdgeConfig = Omit<EdgeOptions, "resolver" | "transport" | "logger" | "registrar" | "clock" | "random" | "meter"> & {
  readonly readyFile?: string;
};

/**
 * Reads the settings of an edge from MESH_EDGE_*, and those that every process has. MESH_EDGE_HOST and MESH_EDGE_PORT are
 * MESH_LISTEN_HOST and MESH_LISTEN_PORT where they are not set. Problems go to the reader.
 */
export function readEdgeConfig(reader: EnvReader): EdgeConfig {
  const host = reader.text("MESH_EDGE_HOST", reader.text("MESH_LISTEN_HOST", "127.0.0.1"));
  const advertiseHost = reader.text("MESH_ADVERTISE_HOST", host);
  if (advertiseHost === "0.0.0.0" || advertiseHost === "::") {
    reader.problem(`MESH_ADVERTISE_HOST is "${advertiseHost}", which others cannot call: set it to an address of this machine`);
  }
  const bytes = (name: string, fallback: number): number => reader.integer(name, fallback, { min: 256, max: 2 ** 30 });
  const ms = (name: string, fallback: number): number => reader.integer(name, fallback, { min: 0, max: 3_600_000 });
  const list = (name: string, fallback: readonly string[]): readonly string[] =>
    reader
      .text(name, fallback.join(","))
      .split(",")
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "");
  const zone = reader.optionalText("MESH_ZONE");
  const readyFile = reader.optionalText("MESH_READY_FILE");
  const drainTimeoutMs = ms("MESH_DRAIN_TIMEOUT_MS", 10_000);
  return {
    host,
    port: reader.port("MESH_EDGE_PORT", reader.port("MESH_LISTEN_PORT", 8_080)),
    advertise: { host: advertiseHost, port: reader.port("MESH_ADVERTISE_PORT", 0) },
    ...(zone === undefined ? {} : { zone }),
    ...(readyFile === undefined ? {} : { readyFile }),
    limits: {
      maxBodyBytes: bytes("MESH_EDGE_MAX_BODY_BYTES", defaultLimits.maxBodyBytes),
      maxHeaderBytes: bytes("MESH_EDGE_MAX_HEADER_BYTES", defaultLimits.maxHeaderBytes),
      maxUrlBytes: bytes("MESH_EDGE_MAX_URL_BYTES", defaultLimits.maxUrlBytes),
      headersTimeoutMs: ms("MESH_EDGE_HEADERS_TIMEOUT_MS", defaultLimits.headersTimeoutMs),
      requestTimeoutMs: ms("MESH_EDGE_REQUEST_TIMEOUT_MS", defaultLimits.requestTimeoutMs),
      keepAliveTimeoutMs: ms("MESH_EDGE_KEEP_ALIVE_TIMEOUT_MS", defaultLimits.keepAliveTimeoutMs),
      stallTimeoutMs: ms("MESH_EDGE_STALL_TIMEOUT_MS", defaultLimits.stallTimeoutMs),
      maxStreams: reader.integer("MESH_EDGE_MAX_STREAMS", defaultLimits.maxStreams, { min: 1, max: 65_535 }),
    },
    expose: list("MESH_EDGE_EXPOSE", []),
    forwardedHeaders: list("MESH_EDGE_FORWARDED_HEADERS", defaultForwardedHeaders),
    allowedParameters: list("MESH_EDGE_ALLOWED_PARAMETERS", []),
    ignoreUnknownParameters: reader.choice("MESH_EDGE_UNKNOWN_PARAMETERS", "refuse", ["refuse", "ignore"]) === "ignore",
    strictBody: reader.choice("MESH_EDGE_UNKNOWN_FIELDS", "drop", ["drop", "refuse"]) === "refuse",
    reflection: reader.choice("MESH_EDGE_REFLECTION", "on", ["on", "off"]) === "on",
    drainNoticeMs: ms("MESH_DRAIN_NOTICE_MS", Math.min(1_000, Math.floor(drainTimeoutMs / 2))),
    drainTimeoutMs,
  };
}
