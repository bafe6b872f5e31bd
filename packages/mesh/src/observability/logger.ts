import { pino } from "pino";
import type { Logger } from "../base/logger.ts";

/** What a logger is made of. */
export interface LoggerOptions {
  /** Name of the process, on every line. */
  readonly name: string;
  /** `debug`, `info`, `warn`, `error` or `silent`. Default: `info`. */
  readonly level?: LogLevel;
  /** Where lines go. Default: standard output. */
  readonly destination?: { write(line: string): void };
}

/** How much is logged. */
export type LogLevel = (typeof logLevels)[number];

/** All levels, from most to least. */
export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

/** Logs through pino: one line of JSON an event, on standard output. */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
    { name: options.name, level: options.level ?? "info" },
    options.destination ?? pino.destination({ fd: 1, sync: false }),
  );
}
