import { ScalarType, create, fromBinary, hasOption } from "@bufbuild/protobuf";
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import type { Validator, Violation } from "@bufbuild/protovalidate";
import {
  field as fieldRules,
  message as messageRules,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { contractViolated } from "../contract/status.ts";
import type { FieldViolation } from "../contract/status.ts";
import type { MethodImplementation } from "./implement.ts";

/** How many violations are named, and how long each text may be: they have to fit the trailers. */
const maxViolations = 16;
const maxTextLength = 200;

/**
 * Builds what turns the bytes of a request into the message that a handler takes. It throws INVALID_ARGUMENT for bytes that
 * are no such message, for text that is not UTF-8 (ts-proto's decoder takes it), and for a message that breaks a rule of
 * its contract (buf.validate). The rules are compiled here, at start: the first validation of a type takes tens of ms.
 */
export function createRequestReader(method: MethodImplementation, validator: Validator): (bytes: Uint8Array) => unknown {
  const schema = method.descriptor.input;
  const checked = hasTextOrRules(schema, new Set());
  if (checked) validator.validate(schema, create(schema));
  return (bytes) => {
    try {
      if (checked) checkRules(validator, schema, bytes);
      return method.decode(bytes);
    } catch (error) {
      if (error instanceof MeshError) throw error;
      throw malformed(schema, error);
    }
  };
}

function checkRules(validator: Validator, schema: DescMessage, bytes: Uint8Array): void {
  const result = validator.validate(schema, fromBinary(schema, bytes, { readUnknownFields: false }));
  if (result.kind === "invalid") throw contractViolated(toFieldViolations(result.violations));
  if (result.kind === "error") {
    throw new MeshError(Code.INTERNAL, "an internal fault, which the log of the service describes", {
      reason: "INTERNAL_FAULT",
      cause: result.error,
    });
  }
}

function malformed(schema: DescMessage, cause: unknown): MeshError {
  const why = cause instanceof Error ? cause.message : "unreadable";
  return new MeshError(Code.INVALID_ARGUMENT, `the request is no ${schema.typeName}: ${shorten(why)}`, {
    reason: "MALFORMED_REQUEST",
    cause,
  });
}

function toFieldViolations(violations: readonly Violation[]): readonly FieldViolation[] {
  const named = violations.slice(0, maxViolations).map(({ field, message, ruleId }) => ({
    field: shorten(pathToString(field)),
    description: shorten(message === "" ? `breaks the rule ${ruleId}` : message),
    reason: shorten(ruleId),
  }));
  const left = violations.length - named.length;
  return left === 0 ? named : [...named, { field: "", description: `and ${left} more` }];
}

function shorten(text: string): string {
  return text.length <= maxTextLength ? text : `${text.slice(0, maxTextLength).toWellFormed()}…`;
}

/** Whether reading a message can find something that ts-proto's decoder lets pass. */
function hasTextOrRules(message: DescMessage, seen: Set<DescMessage>): boolean {
  if (seen.has(message)) return false;
  seen.add(message);
  if (hasOption(message, messageRules)) return true;
  if (message.oneofs.some((oneof) => hasOption(oneof, oneofRules))) return true;
  return message.fields.some((field) => fieldHasTextOrRules(field, seen));
}

function fieldHasTextOrRules(field: DescField, seen: Set<DescMessage>): boolean {
  if (hasOption(field, fieldRules)) return true;
  if (field.scalar === ScalarType.STRING) return true;
  if (field.fieldKind === "map" && field.mapKey === ScalarType.STRING) return true;
  return field.message !== undefined && hasTextOrRules(field.message, seen);
}
