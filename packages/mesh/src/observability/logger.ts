import { pino } from "pino";
import type { Logger } from "../base/logger.ts";
import { createBatchedOutput } from "./batched-output.ts";

/** All levels, from most to least. */
export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

/** How much is logged. */
export type LogLevel = (typeof logLevels)[number];

/** What a logger is made of. */
export interface LoggerOptions {
  /** Name of the process, on every line. */
  readonly name: string;
  /** Default: `info`. */
  readonly level?: LogLevel;
  /** Where lines go. Default: standard output. */
  readonly destination?: { write(line: string): void };
}

/** Fields whose value is never logged, in lower case. */
const secretNames: ReadonlySet<string> = new Set([
  "access_token",
  "api_key",
  "apikey",
  "authorization",
  "client_secret",
  "cookie",
  "database_url",
  "id_token",
  "password",
  "proxy-authorization",
  "refresh_token",
  "secret",
  "set-cookie",
  "token",
  "x-api-key",
  "x-consul-token",
]);

/** How deep fields are searched for secrets. */
const maxDepth = 4;

/** The logger of a process. */
export interface ProcessLogger extends Logger {
  /** Resolves when every line so far is written. Before a clean exit: at an exit without it, the order can suffer. */
  flush(): Promise<void>;
}

/**
 * Logs through pino: one line of JSON an event, with `time` in ISO 8601. Fields that are called like a secret are written
 * as `[redacted]`. Standard output is written without waiting: a slow or stuck reader never holds the process up.
 */
export function createLogger(options: LoggerOptions): ProcessLogger {
  const stdout = options.destination === undefined ? createBatchedOutput(1) : undefined;
  const logger = pino(
    {
      name: options.name,
      level: options.level ?? "info",
      base: { pid: process.pid },
      timestamp: createTimestamps(),
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redact(fields, maxDepth) as Record<string, unknown>,
      },
    },
    options.destination ?? stdout,
  );
  return { ...withRedactedChildren(logger), flush: async () => await stdout?.flush() };
}

/** pino hands the fields of a child logger to no formatter: they are redacted here. */
function withRedactedChildren(logger: Logger): Logger {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => withRedactedChildren(logger.child(redact(fields, maxDepth) as object)),
  };
}

/** pino's `isoTime`, whose text is made once a millisecond: a busy process writes several lines in each. */
function createTimestamps(): () => string {
  let atMs = 0;
  let text = "";
  return () => {
    const nowMs = Date.now();
    if (nowMs !== atMs) {
      atMs = nowMs;
      text = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return text;
  };
}

/** The value without secrets; the very same object when there are none in it. */
function redact(value: unknown, depth: number): unknown {
  if (depth === 0 || !(Array.isArray(value) || isPlain(value))) return value;
  const source = value as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined;
  for (const name of Object.keys(source)) {
    const kept = secretNames.has(name.toLowerCase()) ? "[redacted]" : redact(source[name], depth - 1);
    if (kept === source[name]) continue;
    copy ??= (Array.isArray(value) ? [...(value as unknown[])] : { ...source }) as Record<string, unknown>;
    copy[name] = kept;
  }
  return copy ?? value;
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
