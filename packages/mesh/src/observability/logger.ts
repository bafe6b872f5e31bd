import { pino } from "pino";
import type { Logger } from "../base/logger.ts";

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

/** What is kept for a reader of the log that is slow; beyond it lines are lost, and the process goes on. */
const maxBufferedBytes = 16 * 1024 * 1024;

/**
 * Logs through pino: one line of JSON an event, with `time` in ISO 8601. Fields that are called like a secret are written
 * as `[redacted]`. Standard output is written without waiting: a slow or stuck reader never holds the process up.
 */
export function createLogger(options: LoggerOptions): Logger {
  const destination = options.destination ?? pino.destination({ fd: 1, sync: false, maxLength: maxBufferedBytes });
  return pino(
    {
      name: options.name,
      level: options.level ?? "info",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        bindings: ({ hostname: _hostname, ...bindings }) => redact(bindings, maxDepth) as Record<string, unknown>,
        log: (fields) => redact(fields, maxDepth) as Record<string, unknown>,
      },
    },
    destination,
  );
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
