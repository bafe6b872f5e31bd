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
      timestamp: pino.stdTimeFunctions.isoTime,
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

/** The value without secrets; the very same object when there are none in it. */
function redact(value: unknown, depth: number): unknown {
  if (Array.isArray(value)) return depth === 0 ? value : redactEntries(value, Object.entries(value), depth);
  if (!isPlain(value)) return value;
  return redactEntries(value, Object.entries(value), depth);
}

function redactEntries(source: object, entries: readonly (readonly [string, unknown])[], depth: number): unknown {
  let copy: Record<string, unknown> | undefined;
  for (const [name, value] of entries) {
    const kept = secretNames.has(name.toLowerCase()) ? "[redacted]" : depth > 1 ? redact(value, depth - 1) : value;
    if (kept !== value) (copy ??= (Array.isArray(source) ? [...source] : { ...source }) as Record<string, unknown>)[name] = kept;
  }
  return copy ?? source;
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
