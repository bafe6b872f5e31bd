import { Problem } from "../problem.ts";

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const whole = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/** Reads a Go duration such as `10s`, `1m30s` or `1.5h` (time.ParseDuration), in ms; undefined if it is none. */
export function parseDurationMs(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  if (!whole.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(part)) sum += Number(amount) * (unitMs[unit ?? ""] ?? Number.NaN);
  return text.startsWith("-") ? -sum : sum;
}

/** Reads a duration of a JSON body: a Go string, or whole nanoseconds. */
export function toDurationMs(value: string | number): number {
  if (typeof value === "number") return value / 1e6;
  if (value === "") return 0;
  const ms = parseDurationMs(value);
  if (ms === undefined) throw new Problem(400, `Request decode failed: time: invalid duration ${JSON.stringify(value)}`);
  return ms;
}

/** Writes ms the way Go does: `100ms`, `10s`, `1m0s`, `1h0m0s`; nothing for zero. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "";
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms < 1e-3) return `${trimmed(ms * 1e6)}ns`;
  if (ms < 1) return `${trimmed(ms * 1e3)}µs`;
  if (ms < 1_000) return `${trimmed(ms)}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = `${trimmed((ms % 60_000) / 1_000)}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(9)));
}
