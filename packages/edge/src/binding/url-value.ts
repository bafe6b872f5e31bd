import { create } from "@bufbuild/protobuf";
import type { DescEnum, DescField, DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { shapeOf, specialNumbers } from "../json/scalar-type.ts";
import { fieldForm } from "../json/value-reader.ts";
import { parseBase64, parseDuration, parseFieldMask, parseTimestamp } from "../json/well-known.ts";

/** Reads decoded text of a URL into the form in which a message holds the value; undefined if it is no value of the type. */
export type ParseUrlValue = (text: string) => unknown;

/**
 * Compiles the parser of a field that a path or a query can set: a scalar, an enum, or a well-known type with a scalar JSON
 * form; of a list, the parser of one item. Undefined for every other field.
 */
export function urlValueParser(field: DescField): ParseUrlValue | undefined {
  if (field.fieldKind === "map") return field.mapKind === "message" ? undefined : elementParser(field.scalar, field.enum);
  if (field.message !== undefined) return messageParser(field);
  const parse = elementParser(field.scalar, field.enum);
  const wideAsText = "longAsString" in field && field.longAsString;
  if (!wideAsText || parse === undefined) return parse;
  return (text) => (parse(text) as bigint | undefined)?.toString();
}

function elementParser(scalar: ScalarType | undefined, desc: DescEnum | undefined): ParseUrlValue | undefined {
  if (scalar !== undefined) return scalarParser(scalar);
  return desc && enumParser(desc);
}

const wholeNumber = /^-?\d+$/;
const decimalNumber = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function scalarParser(type: ScalarType): ParseUrlValue {
  const shape = shapeOf(type);
  switch (shape.kind) {
    case "string":
      return (text) => text;
    case "bytes":
      return parseBase64;
    case "boolean":
      return (text) => (text === "true" ? true : text === "false" ? false : undefined);
    case "integer": {
      const { range, wide } = shape;
      return (text) => {
        if (!wholeNumber.test(text) || (range.min === 0n && text.startsWith("-"))) return undefined;
        const value = BigInt(text);
        if (value < range.min || value > range.max) return undefined;
        return wide ? value : Number(value);
      };
    }
    case "floating":
      return (text) => {
        const special = specialNumbers.get(text);
        if (special !== undefined || !decimalNumber.test(text)) return special;
        const value = shape.precision === "float" ? Math.fround(Number(text)) : Number(text);
        return Number.isFinite(value) ? value : undefined;
      };
  }
}

function enumParser(desc: DescEnum): ParseUrlValue {
  const numbers = new Map(
    desc.values.flatMap((value) => [[value.name, value.number] as const, [value.jsonName, value.number] as const]),
  );
  return (text) => {
    const named = numbers.get(text);
    if (named !== undefined || !wholeNumber.test(text)) return named;
    const number = Number(text);
    return desc.value[number] === undefined ? undefined : number;
  };
}

function messageParser(field: DescField & { readonly message: DescMessage }): ParseUrlValue | undefined {
  const { message } = field;
  if (isWrapperDesc(message)) {
    const parse = scalarParser(message.fields[0].scalar);
    if (fieldForm(field) === "bare") return parse;
    return (text) => {
      const value = parse(text);
      return value === undefined ? undefined : create(message, { value } as never);
    };
  }
  switch (message.typeName) {
    case "google.protobuf.Timestamp":
      return parseTimestamp;
    case "google.protobuf.Duration":
      return parseDuration;
    case "google.protobuf.FieldMask":
      return parseFieldMask;
    default:
      return undefined;
  }
}
