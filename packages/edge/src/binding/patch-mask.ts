import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { malformedRequest } from "../errors/request-error.ts";
import { hasSpecialJson } from "../json/well-known.ts";
import { fieldByName, isWithin } from "./field-path.ts";

/** The one FieldMask among the fields of a request; undefined if there is none, or more than one. */
export function maskFieldOf(desc: DescMessage): DescField | undefined {
  const masks = desc.fields.filter(
    (field) => field.fieldKind === "message" && field.message.typeName === "google.protobuf.FieldMask",
  );
  return masks.length === 1 ? masks[0] : undefined;
}

/**
 * The update mask of a PATCH that sends none: paths of the keys that are present, whatever their values, in proto spelling and
 * sorted. Objects of messages are walked to their leaves; lists, maps, well-known types and empty objects are leaves. `owned`
 * paths are left out: the URL has set them. Throws INVALID_ARGUMENT for an unknown key, which no mask could name.
 */
export function derivePatchMask(desc: DescMessage, body: unknown, owned: readonly string[]): string[] {
  const paths: string[] = [];
  const walk = (parent: DescMessage, value: object, prefix: string): void => {
    for (const [key, child] of Object.entries(value)) {
      const field = fieldByName(parent, key);
      if (field === undefined)
        throw malformedRequest(`${parent.typeName} has no field ${JSON.stringify(key)}, so no mask can name it`);
      const path = prefix + field.name;
      const inner = field.fieldKind === "message" && !hasSpecialJson(field.message) ? field.message : undefined;
      if (owned.some((owner) => isWithin(path, owner))) continue;
      if (inner !== undefined && isObject(child) && Object.keys(child).length > 0) walk(inner, child, `${path}.`);
      else paths.push(path);
    }
  };
  if (isObject(body)) walk(desc, body, "");
  return paths.sort();
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
