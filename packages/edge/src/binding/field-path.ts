import { create } from "@bufbuild/protobuf";
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { Members } from "../json/message-reader.ts";
import { hasSpecialJson } from "../json/well-known.ts";

/** The way from a message to one of its fields, through singular messages. */
export interface FieldPath {
  /** The fields on the way; the last one is the field itself. */
  readonly fields: readonly DescField[];
  readonly field: DescField;
  /** Names in proto spelling, joined by dots. */
  readonly name: string;
}

const indexes = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** A field by its proto name or its JSON name. */
export function fieldByName(desc: DescMessage, name: string): DescField | undefined {
  let index = indexes.get(desc);
  if (index === undefined) {
    index = new Map(desc.fields.flatMap((field) => [[field.jsonName, field] as const, [field.name, field] as const]));
    indexes.set(desc, index);
  }
  return index.get(name);
}

/** Finds a field by its dotted path in either spelling; undefined if a name is unknown or the path leaves singular messages. */
export function findField(desc: DescMessage, path: string): FieldPath | undefined {
  const fields: DescField[] = [];
  let parent: DescMessage | undefined = desc;
  for (const name of path.split(".")) {
    const field: DescField | undefined = parent && fieldByName(parent, name);
    if (field === undefined) return undefined;
    fields.push(field);
    parent = field.fieldKind === "message" && !hasSpecialJson(field.message) ? field.message : undefined;
  }
  const field = fields.at(-1);
  return field && { fields, field, name: fields.map((each) => each.name).join(".") };
}

/** True if `name` is the field `owner` or lies under it. Both are in proto spelling. */
export function isWithin(name: string, owner: string): boolean {
  return name === owner || name.startsWith(`${owner}.`);
}

/** The message that holds the last field of a path; the messages on the way are made where they are absent. */
export function holderOf(message: Members, path: FieldPath): Members {
  let holder = message;
  for (const field of path.fields.slice(0, -1)) {
    if (field.message === undefined) throw new Error(`${String(field)} is no message`);
    const found = valueOf(holder, field) ?? create(field.message);
    setField(holder, field, found);
    holder = found as Members;
  }
  return holder;
}

/** Sets a singular field; a member of a oneof takes the place of the others. */
export function setField(holder: Members, field: DescField, value: unknown): void {
  if (field.oneof === undefined) holder[field.localName] = value;
  else holder[field.oneof.localName] = { case: field.localName, value };
}

/** The value of a singular field; undefined for another member of its oneof. */
export function valueOf(holder: Members, field: DescField): unknown {
  if (field.oneof === undefined) return holder[field.localName];
  const group = holder[field.oneof.localName] as { readonly case?: string; readonly value?: unknown };
  return group.case === field.localName ? group.value : undefined;
}
