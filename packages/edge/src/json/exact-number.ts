/** Bounds of an integer type, both included. */
export interface IntegerRange {
  readonly min: bigint;
  readonly max: bigint;
}

const decimal = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/**
 * Reads the text of a JSON number as an integer, exactly: no digit passes through a double. Undefined if it is no JSON
 * number, has a fraction, or lies out of the range. `1.50e1` is 15.
 */
export function parseExactInteger(text: string, range: IntegerRange): bigint | undefined {
  const parts = decimal.exec(text);
  if (parts === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponentText = "0"] = parts;
  const digits = (whole + fraction).replace(/^0+/, "");
  if (digits === "") return range.min <= 0n ? 0n : undefined;
  const exponent = Number(exponentText) - fraction.length;
  const shifted = shift(digits, exponent);
  if (shifted === undefined) return undefined;
  const value = BigInt(sign + shifted);
  return value >= range.min && value <= range.max ? value : undefined;
}

/** `digits` times ten to `exponent`, if that is an integer of at most 20 digits. */
function shift(digits: string, exponent: number): string | undefined {
  if (exponent >= 0) return digits.length + exponent <= 20 ? digits + "0".repeat(exponent) : undefined;
  const kept = digits.length + exponent;
  if (kept <= 0 || kept > 20 || /[^0]/.test(digits.slice(kept))) return undefined;
  return digits.slice(0, kept);
}

/** Reads the text of a JSON number as a double; undefined if it is none, or too large for the type. */
export function parseFloating(text: string, precision: "float" | "double"): number | undefined {
  if (!decimal.test(text)) return undefined;
  const value = precision === "float" ? Math.fround(Number(text)) : Number(text);
  return Number.isFinite(value) ? value : undefined;
}
