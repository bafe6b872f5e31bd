import { ScalarType, create, fromJson } from "@bufbuild/protobuf";
import type { DescEnum, DescField, DescMessage, JsonObject, Message, Registry } from "@bufbuild/protobuf";
import { AnySchema, isWrapperDesc, ListValueSchema, StructSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { parseExactInteger, parseFloating } from "./exact-number.ts";
import { JsonMark } from "./json-cursor.ts";
import type { JsonCursor } from "./json-cursor.ts";
import { shapeOf, specialNumbers } from "./scalar-type.ts";
import { parseBase64, parseDuration, parseFieldMask, parseTimestamp } from "./well-known.ts";

/** Reads one value into the form in which protobuf-es holds it in a message. */
export type ReadValue = (cursor: JsonCursor) => unknown;

/** Given instead of a value for an enum name that the contract does not know: the field stays as it is. */
export const unknownEnumName: unique symbol = Symbol("unknown enum name");

const safeInteger = /^-?\d{1,15}$/;

/** Compiles the reader of a scalar. `wideAsText`: 64-bit integers are held as strings (`jstype = JS_STRING`). */
export function scalarReader(type: ScalarType, wideAsText: boolean): ReadValue {
  const shape = shapeOf(type);
  switch (shape.kind) {
    case "string":
      return (cursor) => cursor.readString();
    case "boolean":
      return (cursor) => cursor.readBoolean();
    case "bytes":
      return (cursor) => parseBase64(cursor.readString()) ?? fail(cursor, "a string is no base64");
    case "integer": {
      const { range, wide } = shape;
      const min = Number(range.min);
      const max = Number(range.max);
      return (cursor) => {
        const text = numberText(cursor);
        if (!wide && safeInteger.test(text) && !/^-?0\d/.test(text)) {
          const value = Number(text);
          if (value >= min && value <= max) return value === 0 ? 0 : value;
        }
        const value = parseExactInteger(text, range) ?? fail(cursor, `${JSON.stringify(text)} is no integer of the field's type`);
        if (!wide) return Number(value);
        return wideAsText ? String(value) : value;
      };
    }
    case "floating":
      return (cursor) => {
        const text = numberText(cursor);
        return (
          specialNumbers.get(text) ??
          parseFloating(text, shape.precision) ??
          fail(cursor, `${JSON.stringify(text)} is no number of the field's type`)
        );
      };
  }
}

/** The text of a number, bare or in a string. A bare `NaN` is no JSON. */
function numberText(cursor: JsonCursor): string {
  return cursor.peek() === JsonMark.quote ? cursor.readString() : cursor.readNumber();
}

/** Compiles the reader of an enum: its names, or any 32-bit number if the enum is open. */
export function enumReader(desc: DescEnum): ReadValue {
  const numbers = new Map<string, number>();
  for (const value of desc.values) numbers.set(value.name, value.number).set(value.jsonName, value.number);
  const readNumber = scalarReader(ScalarType.INT32, false);
  const isNullValue = desc.typeName === "google.protobuf.NullValue";
  return (cursor) => {
    if (isNullValue && cursor.takeNull()) return 0;
    if (cursor.peek() === JsonMark.quote) {
      const name = cursor.readString();
      const value = numbers.get(name) ?? unknownEnumName;
      if (value === unknownEnumName && cursor.strict) throw cursor.fault(`${desc.typeName} has no value ${JSON.stringify(name)}`);
      return value;
    }
    const value = readNumber(cursor) as number;
    if (!desc.open && desc.value[value] === undefined) throw cursor.fault(`${desc.typeName} has no value ${value}`);
    return value;
  };
}

/** Compiles the reader of a well-known type with a JSON form of its own; undefined for every other message. */
export function wellKnownReader(desc: DescMessage, registry: Registry): ReadValue | undefined {
  if (isWrapperDesc(desc)) {
    const read = scalarReader(desc.fields[0].scalar, false);
    return (cursor) => create(desc, { value: read(cursor) } as never);
  }
  const ofText = (parse: (text: string) => Message | undefined, what: string): ReadValue => {
    return (cursor) => parse(cursor.readString()) ?? fail(cursor, `a string is no ${what}`);
  };
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return ofText(parseTimestamp, "RFC 3339 time from year 1 to 9999");
    case "google.protobuf.Duration":
      return ofText(parseDuration, "duration in seconds, such as 1.5s");
    case "google.protobuf.FieldMask":
      return ofText(parseFieldMask, "field mask");
    case "google.protobuf.Value":
      return (cursor) => fromJson(ValueSchema, cursor.readTree(), treeOptions);
    case "google.protobuf.ListValue":
      return (cursor) => {
        if (cursor.peek() !== JsonMark.openArray) throw cursor.fault("an array is expected");
        return fromJson(ListValueSchema, cursor.readTree(), treeOptions);
      };
    case "google.protobuf.Struct":
      return (cursor) => fromJson(StructSchema, readObject(cursor), treeOptions);
    case "google.protobuf.Any":
      return (cursor) => {
        const tree = readObject(cursor);
        try {
          return fromJson(AnySchema, tree, { registry, ignoreUnknownFields: !cursor.strict });
        } catch (error) {
          throw cursor.fault(error instanceof Error ? error.message : "a google.protobuf.Any cannot be read", error);
        }
      };
    default:
      return undefined;
  }
}

/** The cursor has bounded the nesting of the tree already. */
const treeOptions = { recursionLimit: 1_000 };

function readObject(cursor: JsonCursor): JsonObject {
  if (cursor.peek() !== JsonMark.openObject) throw cursor.fault("an object is expected");
  return cursor.readTree() as JsonObject;
}

function fail(cursor: JsonCursor, detail: string): never {
  throw cursor.fault(detail);
}

/** How a field holds a message: protobuf-es holds a singular wrapper as its bare value, and a Struct as a JSON object. */
export function fieldForm(field: DescField & { readonly message: DescMessage }): "message" | "bare" | "object" {
  if (isWrapperDesc(field.message)) return field.fieldKind === "message" && field.oneof === undefined ? "bare" : "message";
  return field.message.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value"
    ? "object"
    : "message";
}
