import { create } from "@bufbuild/protobuf";
import type { DescMessage } from "@bufbuild/protobuf";
import { DurationSchema, FieldMaskSchema, isWrapperDesc, TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { Duration, FieldMask, Timestamp } from "@bufbuild/protobuf/wkt";

const timestamp = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:Z|([+-])(\d{2}):(\d{2}))$/;
const duration = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
const maxDurationSeconds = 315_576_000_000n;
const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Names of the well-known types whose JSON form is no object of fields. */
const special = new Set(
  ["Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue"].map((name) => `google.protobuf.${name}`),
);

/** True for a well-known type whose JSON form is not an object of its fields. */
export function hasSpecialJson(desc: DescMessage): boolean {
  return special.has(desc.typeName) || isWrapperDesc(desc);
}

/** Reads an RFC 3339 time from year 1 to 9999; undefined if it is none, or its date does not exist. A leap second is none. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const parts = timestamp.exec(text);
  if (parts === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1, 7).map(Number);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const lastDay = month === 2 && leap ? 29 : (daysOfMonth[month - 1] ?? 0);
  if (day < 1 || day > lastDay || hour > 23 || minute > 59 || second > 59) return undefined;
  const offsetHours = Number(parts[9] ?? 0);
  const offsetMinutes = Number(parts[10] ?? 0);
  if (offsetHours > 23 || offsetMinutes > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const offsetSeconds = (parts[8] === "-" ? -1 : 1) * (offsetHours * 3_600 + offsetMinutes * 60);
  const seconds = date.getTime() / 1_000 - offsetSeconds;
  if (seconds < -62_135_596_800 || seconds > 253_402_300_799) return undefined;
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: toNanos(parts[7]) });
}

/** Reads decimal seconds with `s`, at most 315,576,000,000 of them; undefined if it is none. */
export function parseDuration(text: string): Duration | undefined {
  const parts = duration.exec(text);
  if (parts === null) return undefined;
  const sign = parts[1] === "-" ? -1 : 1;
  const seconds = BigInt(parts[2] ?? "0");
  const nanos = toNanos(parts[3]);
  if (seconds > maxDurationSeconds || (seconds === maxDurationSeconds && nanos > 0)) return undefined;
  // `sign * 0` would be -0, which is not the default.
  return create(DurationSchema, { seconds: BigInt(sign) * seconds, nanos: nanos === 0 ? 0 : sign * nanos });
}

function toNanos(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.padEnd(9, "0"));
}

/**
 * Reads a comma list of paths, each in JSON or in proto spelling, into proto spelling; `*` stays. Empty text is an empty mask.
 * Undefined for an empty path or a name that no field can have.
 */
export function parseFieldMask(text: string): FieldMask | undefined {
  if (text === "") return create(FieldMaskSchema);
  const paths = text.split(",");
  if (!paths.every((path) => path === "*" || /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/.test(path)))
    return undefined;
  return create(FieldMaskSchema, { paths: paths.map(toProtoSpelling) });
}

function toProtoSpelling(path: string): string {
  return path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Reads base64, standard or URL-safe, padded or not; undefined if it is neither. */
export function parseBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const parts = /^([A-Za-z0-9+/_-]*)(={0,2})$/.exec(text);
  if (parts === null) return undefined;
  const [, digits = "", padding = ""] = parts;
  if (digits.length % 4 === 1 || (padding !== "" && text.length % 4 !== 0)) return undefined;
  return Uint8Array.from(Buffer.from(digits, "base64"));
}
