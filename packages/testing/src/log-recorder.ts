import type { Logger } from "@protoloom/mesh";

/** One line of log: its fields, those of the logger's parents included, and under `level` and `message` how it was written. */
export interface RecordedLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A logger that keeps what it is told. */
export interface LogRecorder {
  readonly logger: Logger;
  /** All lines so far, those of child loggers too; a test may empty it. */
  readonly lines: RecordedLine[];
}

/** Keeps every line, of each level. */
export function createLogRecorder(): LogRecorder {
  const lines: RecordedLine[] = [];
  const loggerOf = (bound: object): Logger => {
    const at =
      (level: RecordedLine["level"]) =>
      (fields: object, message: string): void =>
        void lines.push({ ...bound, ...fields, level, message });
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (fields) => loggerOf({ ...bound, ...fields }),
    };
  };
  return { logger: loggerOf({}), lines };
}
