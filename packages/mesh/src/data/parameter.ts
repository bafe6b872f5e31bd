/** What both engines can bind. Times are stored as ms since 1970 and JSON as text, so that both read back the same. */
export type Parameter = string | number | bigint | boolean | Uint8Array | null;

/**
 * Refuses what one engine would take and the other would not, so that the same query has the same answer on both: NUL and
 * half surrogate pairs in text, Date, undefined, objects. Throws TypeError.
 */
export function checkParameter(value: unknown): Parameter {
  switch (typeof value) {
    case "string":
      if (value.includes("\0")) throw new TypeError("text for the database holds NUL, which PostgreSQL cannot store");
      if (!value.isWellFormed())
        throw new TypeError("text for the database holds half a surrogate pair, which is no Unicode text");
      return value;
    case "number":
      if (Number.isFinite(value)) return value;
      throw new TypeError(`${value} is no number for the database`);
    case "bigint":
    case "boolean":
      return value;
    default:
      if (value === null || value instanceof Uint8Array) return value;
      if (value instanceof Date) throw new TypeError("a Date is no value for the database: times are stored as ms since 1970");
      throw new TypeError(`a value of type ${typeof value} cannot be stored`);
  }
}
