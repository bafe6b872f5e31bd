import { ScalarType, create, hasOption } from "@bufbuild/protobuf";
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { Validator } from "@bufbuild/protovalidate";
import {
  field as fieldRules,
  message as messageRules,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { checkMessage, shortened } from "../contract/message-check.ts";
import type { MethodImplementation } from "./implement.ts";

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
      if (checked) checkMessage(validator, schema, bytes);
      return method.decode(bytes);
    } catch (error) {
      if (error instanceof MeshError) throw error;
      throw malformed(schema, error);
    }
  };
}

function malformed(schema: DescMessage, cause: unknown): MeshError {
  const why = cause instanceof Error ? cause.message : "unreadable";
  return new MeshError(Code.INVALID_ARGUMENT, `the request is no ${schema.typeName}: ${shortened(why)}`, {
    reason: "MALFORMED_REQUEST",
    cause,
  });
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
