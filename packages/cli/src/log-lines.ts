import { styleText } from "node:util";

/** Turns the lines of one process into what a person reads. */
export type LineFormatter = (line: string) => string;

/** How lines look. */
export interface LogStyle {
  /** `pretty` renders JSON lines; `json` leaves every line as it is, with no prefix. */
  readonly format: "pretty" | "json";
  readonly color: boolean;
  /** Width of the longest name. */
  readonly nameWidth: number;
}

type Style = Parameters<typeof styleText>[0];

const nameStyles = ["cyan", "magenta", "green", "blue", "yellow"] as const;
const levels: Readonly<Record<string, readonly [label: string, style: Style]>> = {
  trace: ["TRACE", "dim"],
  debug: ["DEBUG", "dim"],
  info: ["INFO ", "green"],
  warn: ["WARN ", "yellow"],
  error: ["ERROR", "red"],
  fatal: ["FATAL", "red"],
};
/** pino's numbers. */
const levelNames: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};
/** Fields that stand elsewhere in the line, or are the same in all of them. */
const shownElsewhere = new Set(["level", "time", "msg", "pid", "hostname", "name", "service", "err"]);

/** The formatter of one process; `index` chooses its colour. */
export function createLineFormatter(name: string, index: number, style: LogStyle): LineFormatter {
  if (style.format === "json") return (line) => line;
  const paint = painter(style.color);
  const prefix = paint(nameStyles[index % nameStyles.length] ?? "cyan", `${name.padEnd(style.nameWidth)} |`);
  return (line) => `${prefix} ${renderLine(line, paint)}`;
}

/** Colours text, or leaves it. */
export function painter(color: boolean): (style: Style, text: string) => string {
  return color ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text;
}

function renderLine(line: string, paint: ReturnType<typeof painter>): string {
  const record = parseRecord(line);
  if (record === undefined) return line;
  const [label, style] = levels[levelName(record["level"])] ?? ["     ", "dim"];
  const time = timeOfDay(record["time"]);
  const fields = Object.entries(record).filter(([key, value]) => !shownElsewhere.has(key) && value !== undefined && value !== "");
  const rest = fields.map(([key, value]) => ` ${paint("dim", `${key}=`)}${renderValue(value)}`).join("");
  return `${paint("dim", time)} ${paint(style, label)} ${textOf(record["msg"])}${rest}${renderError(record["err"])}`;
}

/** A JSON object with a level, as pino writes it, or undefined for any other line. */
function parseRecord(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "level" in value ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // Not JSON after all: shown as it is.
  }
}

function levelName(level: unknown): string {
  return typeof level === "number" ? (levelNames[level] ?? "") : String(level).toLowerCase();
}

function timeOfDay(time: unknown): string {
  const date = new Date(typeof time === "number" || typeof time === "string" ? time : Number.NaN);
  if (Number.isNaN(date.getTime())) return "            ";
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  return `${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function renderValue(value: unknown): string {
  return typeof value === "string" && !/[\s"=]/.test(value) ? value : JSON.stringify(value);
}

function renderError(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const { stack, message } = error as { stack?: unknown; message?: unknown };
  const text = textOf(stack) || textOf(message);
  return text === "" ? "" : `\n${text.replaceAll(/^/gm, "    ")}`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
