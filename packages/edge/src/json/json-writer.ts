import { ScalarType, fromBinary, toJson } from "@bufbuild/protobuf";
import type { DescField, DescMessage, JsonObject, JsonValue, Registry } from "@bufbuild/protobuf";
import { Code, MeshError } from "@protoloom/mesh";

/** Turns the bytes of an answer into JSON text. Throws INTERNAL for bytes that are no message of the type. */
export type WriteJson = (bytes: Uint8Array) => string;

/**
 * Compiles the JSON of an answer: proto3 JSON with JSON names, defaults left out. `responseBody` names the one field that the
 * answer is; empty for the whole message.
 */
export function compileJsonWriter(desc: DescMessage, registry: Registry, responseBody: string): WriteJson {
  const field = responseBody === "" ? undefined : desc.fields.find(({ name }) => name === responseBody);
  if (responseBody !== "" && field === undefined)
    throw new Error(`${desc.typeName} has no field ${responseBody} for the response body`);
  // With a registry every message is searched for extensions: it goes along only where an Any may need it.
  const options = holdsAny(desc, new Set()) ? { registry } : {};
  return (bytes) => {
    try {
      const json = toJson(desc, fromBinary(desc, bytes, { readUnknownFields: false }), options);
      return JSON.stringify(field === undefined ? json : ((json as JsonObject)[field.jsonName] ?? defaultJson(field)));
    } catch (error) {
      throw new MeshError(Code.INTERNAL, `the service's answer is no ${desc.typeName}`, {
        reason: "INTERNAL_FAULT",
        cause: error,
      });
    }
  };
}

function holdsAny(desc: DescMessage, seen: Set<DescMessage>): boolean {
  if (desc.typeName === "google.protobuf.Any") return true;
  if (seen.has(desc)) return false;
  seen.add(desc);
  return desc.fields.some((field) => field.message !== undefined && holdsAny(field.message, seen));
}

function defaultJson(field: DescField): JsonValue {
  switch (field.fieldKind) {
    case "list":
      return [];
    case "map":
      return {};
    case "message":
      return null;
    case "enum":
      return field.enum.values[0]?.jsonName ?? null;
    case "scalar":
      return defaultScalars.get(field.scalar) ?? 0;
  }
}

const defaultScalars: ReadonlyMap<ScalarType, JsonValue> = new Map<ScalarType, JsonValue>([
  [ScalarType.STRING, ""],
  [ScalarType.BYTES, ""],
  [ScalarType.BOOL, false],
  [ScalarType.INT64, "0"],
  [ScalarType.SINT64, "0"],
  [ScalarType.SFIXED64, "0"],
  [ScalarType.UINT64, "0"],
  [ScalarType.FIXED64, "0"],
]);
