/** The 17 status codes of gRPC (grpc/grpc doc/statuscodes.md). */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** A status code of gRPC. */
export type Code = (typeof Code)[keyof typeof Code];

/** The name of a status code. */
export type CodeName = keyof typeof Code;

const names = Object.keys(Code) as CodeName[];

/** The name of a code, such as `NOT_FOUND`. */
export function codeName(code: Code): CodeName {
  return names[code] ?? "UNKNOWN";
}

/** Reads a code from the wire; a number that is no code is UNKNOWN. */
export function toCode(value: number): Code {
  return Number.isInteger(value) && value >= 0 && value < names.length ? (value as Code) : Code.UNKNOWN;
}
