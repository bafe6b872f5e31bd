import { create } from "@bufbuild/protobuf";
import type { DescField, DescMessage, Message, Registry, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { parseExactInteger } from "./exact-number.ts";
import { JsonCursor, JsonMark, setOwn } from "./json-cursor.ts";
import { shapeOf } from "./scalar-type.ts";
import { enumReader, fieldForm, scalarReader, unknownEnumName, wellKnownReader } from "./value-reader.ts";
import type { ReadValue } from "./value-reader.ts";

/** Members of a message by their names, as protobuf-es holds them. */
export type Members = Record<string, unknown>;

interface Slot {
  readonly index: number;
  readonly field: DescField;
  readonly read: (cursor: JsonCursor, into: Members) => void;
}

/**
 * Compiles readers of proto3 JSON for messages and fields. They are as strict as edge cases allow: see JsonCursor; beside that a
 * field under both of its names, two members of a oneof and null in a list are faults. Unknown fields and unknown enum names are
 * dropped, or faults when the cursor is strict.
 */
export interface JsonReaders {
  /** Reads a whole message. */
  message(desc: DescMessage): ReadValue;
  /** Reads the value of one field into a message that holds the field. */
  field(field: DescField): (cursor: JsonCursor, into: Members) => void;
}

/** Creates compilers that share their results; `registry` resolves google.protobuf.Any. */
export function createJsonReaders(registry: Registry): JsonReaders {
  const compiled = new Map<DescMessage, ReadValue>();

  function message(desc: DescMessage): ReadValue {
    let read = compiled.get(desc);
    if (read === undefined) {
      read = wellKnownReader(desc, registry) ?? objectReader(desc);
      compiled.set(desc, read);
    }
    return read;
  }

  function objectReader(desc: DescMessage): ReadValue {
    // Compiled with the first value, so that messages may hold each other.
    let slots: ReadonlyMap<string, Slot> | undefined;
    return (cursor) => {
      slots ??= compileSlots(desc);
      const into = create(desc) as Message & Members;
      let low = 0;
      let high: Set<number> | undefined;
      let unknown: Set<string> | undefined;
      cursor.open(JsonMark.openObject);
      for (let first = true; cursor.hasNext(first, JsonMark.closeObject); first = false) {
        const key = cursor.readKey();
        const slot = slots.get(key);
        if (slot === undefined) {
          unknown ??= new Set();
          if (cursor.strict) throw cursor.fault(`${desc.typeName} has no field ${JSON.stringify(key)}`);
          if (unknown.has(key)) throw cursor.fault(`the key ${JSON.stringify(key)} stands twice`);
          unknown.add(key);
          cursor.readTree();
          continue;
        }
        const { index } = slot;
        if (index < 31 ? (low & (1 << index)) !== 0 : high?.has(index))
          throw cursor.fault(`the field ${slot.field.name} stands twice`);
        if (index < 31) low |= 1 << index;
        else (high ??= new Set()).add(index);
        slot.read(cursor, into);
      }
      return into;
    };
  }

  function compileSlots(desc: DescMessage): ReadonlyMap<string, Slot> {
    const slots = new Map<string, Slot>();
    for (const [index, member] of desc.fields.entries()) {
      const slot = { index, field: member, read: field(member) };
      slots.set(member.name, slot).set(member.jsonName, slot);
    }
    return slots;
  }

  function field(desc: DescField): Slot["read"] {
    switch (desc.fieldKind) {
      case "list":
        return listReader(desc, elementReader(desc));
      case "map":
        return mapReader(desc, elementReader(desc));
      default:
        return singularReader(desc, singularValue(desc));
    }
  }

  function singularValue(desc: DescField & { fieldKind: "scalar" | "enum" | "message" }): ReadValue {
    if (desc.fieldKind === "scalar") return scalarReader(desc.scalar, desc.longAsString);
    return desc.fieldKind === "enum" ? enumReader(desc.enum) : messageValue(desc);
  }

  function elementReader(desc: DescField & { fieldKind: "list" | "map" }): ReadValue {
    if (desc.scalar !== undefined) return scalarReader(desc.scalar, desc.fieldKind === "list" && desc.longAsString);
    return desc.enum === undefined ? messageValue(desc) : enumReader(desc.enum);
  }

  function messageValue(desc: DescField & { readonly message: DescMessage }): ReadValue {
    const form = fieldForm(desc);
    if (form === "bare" && isWrapperDesc(desc.message)) return scalarReader(desc.message.fields[0].scalar, false);
    if (form === "message") return message(desc.message);
    return (cursor) => {
      if (cursor.peek() !== JsonMark.openObject) throw cursor.fault("an object is expected");
      return cursor.readTree();
    };
  }

  return { message, field };
}

/** Null leaves a field unset, unless null is a value of its type. */
function takesNull(desc: DescField): boolean {
  return desc.message?.typeName === "google.protobuf.Value" || desc.enum?.typeName === "google.protobuf.NullValue";
}

function singularReader(desc: DescField, read: ReadValue): Slot["read"] {
  const { localName, oneof } = desc;
  const nullIsValue = takesNull(desc);
  if (oneof === undefined) {
    return (cursor, into) => {
      if (!nullIsValue && cursor.takeNull()) return;
      const value = read(cursor);
      if (value !== unknownEnumName) into[localName] = value;
    };
  }
  return (cursor, into) => {
    if (!nullIsValue && cursor.takeNull()) return;
    const value = read(cursor);
    if (value === unknownEnumName) return;
    const group = into[oneof.localName] as { readonly case?: string };
    if (group.case !== undefined) throw cursor.fault(`${oneof.name} is set by ${group.case} and by ${desc.name}`);
    into[oneof.localName] = { case: localName, value };
  };
}

function listReader(desc: DescField, read: ReadValue): Slot["read"] {
  const nullIsValue = takesNull(desc);
  return (cursor, into) => {
    if (cursor.takeNull()) return;
    const items = into[desc.localName] as unknown[];
    cursor.open(JsonMark.openArray);
    for (let first = true; cursor.hasNext(first, JsonMark.closeArray); first = false) {
      if (!nullIsValue && cursor.takeNull()) throw cursor.fault(`${desc.name} holds a null`);
      const item = read(cursor);
      if (item !== unknownEnumName) items.push(item);
    }
  };
}

function mapReader(desc: DescField & { fieldKind: "map" }, read: ReadValue): Slot["read"] {
  const nullIsValue = takesNull(desc);
  return (cursor, into) => {
    if (cursor.takeNull()) return;
    const entries = into[desc.localName] as object;
    const seen = new Set<string>();
    cursor.open(JsonMark.openObject);
    for (let first = true; cursor.hasNext(first, JsonMark.closeObject); first = false) {
      const text = cursor.readKey();
      const key = parseMapKey(text, desc.mapKey);
      if (key === undefined) throw cursor.fault(`${JSON.stringify(text)} is no key of ${desc.name}`);
      if (seen.has(key)) throw cursor.fault(`the key ${JSON.stringify(text)} stands twice`);
      seen.add(key);
      if (!nullIsValue && cursor.takeNull()) throw cursor.fault(`${desc.name} holds a null`);
      const value = read(cursor);
      if (value !== unknownEnumName) setOwn(entries, key, value);
    }
  };
}

/** Reads a key of a map from its text, into the form in which a message holds it; undefined if it is none. */
export function parseMapKey(text: string, type: ScalarType): string | undefined {
  const shape = shapeOf(type);
  if (shape.kind === "string") return text;
  if (shape.kind === "boolean") return text === "true" || text === "false" ? text : undefined;
  return shape.kind === "integer" ? parseExactInteger(text, shape.range)?.toString() : undefined;
}

/** Reads a whole JSON text with a compiled reader. */
export function readJson<Value>(text: string, read: (cursor: JsonCursor) => Value, options: { readonly strict: boolean }): Value {
  const cursor = new JsonCursor(text, options);
  const value = read(cursor);
  cursor.end();
  return value;
}
