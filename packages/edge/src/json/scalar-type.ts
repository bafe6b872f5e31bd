import { ScalarType } from "@bufbuild/protobuf";
import type { IntegerRange } from "./exact-number.ts";

const int32: IntegerRange = { min: -(2n ** 31n), max: 2n ** 31n - 1n };
const uint32: IntegerRange = { min: 0n, max: 2n ** 32n - 1n };
const int64: IntegerRange = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const uint64: IntegerRange = { min: 0n, max: 2n ** 64n - 1n };

/** How a scalar type of protobuf is written in JSON and held in a message. */
export type ScalarShape =
  | { readonly kind: "integer"; readonly range: IntegerRange; readonly wide: boolean }
  | { readonly kind: "floating"; readonly precision: "float" | "double" }
  | { readonly kind: "boolean" | "string" | "bytes" };

/** The shape of a scalar type. `wide` integers are bigints in a message, the others numbers. */
export function shapeOf(type: ScalarType): ScalarShape {
  switch (type) {
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { kind: "integer", range: int32, wide: false };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { kind: "integer", range: uint32, wide: false };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { kind: "integer", range: int64, wide: true };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { kind: "integer", range: uint64, wide: true };
    case ScalarType.FLOAT:
      return { kind: "floating", precision: "float" };
    case ScalarType.DOUBLE:
      return { kind: "floating", precision: "double" };
    case ScalarType.BOOL:
      return { kind: "boolean" };
    case ScalarType.STRING:
      return { kind: "string" };
    case ScalarType.BYTES:
      return { kind: "bytes" };
  }
}

/** The values that a double has beside its numbers, as proto3 JSON writes them. */
export const specialNumbers: ReadonlyMap<string, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);
