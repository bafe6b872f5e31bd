import { fromBinary } from "@bufbuild/protobuf";
import type { DescMessage } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import type { Validator, Violation } from "@bufbuild/protovalidate";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { MethodDefinition, RequestOf, ServiceDefinition, ServiceHandle } from "./service-handle.ts";
import { contractViolated } from "./status.ts";
import type { FieldViolation } from "./status.ts";

/** How many violations are named, and how long each text may be: they have to fit the trailers. */
const maxViolations = 16;
const maxTextLength = 200;

/**
 * Checks requests of a method against the rules of their contract (buf.validate), for a handler that takes them otherwise
 * than as calls of that method: the rows of an import, each an error of its own. The function throws INVALID_ARGUMENT
 * (CONTRACT_VIOLATED) with the fields named. The rules are compiled at the first check, which takes tens of ms.
 */
export function createRequestCheck<Definition extends ServiceDefinition, Name extends keyof Definition & string>(
  { descriptor, definition }: ServiceHandle<Definition>,
  name: Name,
): (request: RequestOf<Definition[Name]>) => void {
  const schema = descriptor.method[name]?.input;
  const method: MethodDefinition | undefined = definition[name];
  if (schema === undefined || method === undefined)
    throw new Error(`${descriptor.typeName} has no ${name}: generate the code again`);
  let validator: Validator | undefined;
  return (request) => checkMessage((validator ??= createValidator()), schema, method.requestSerialize(request as never));
}

/** Throws for a message that breaks a rule of its contract; whatever Node or the decoder throws for one that is unreadable. */
export function checkMessage(validator: Validator, schema: DescMessage, bytes: Uint8Array): void {
  const result = validator.validate(schema, fromBinary(schema, bytes, { readUnknownFields: false }));
  if (result.kind === "invalid") throw contractViolated(toFieldViolations(result.violations));
  if (result.kind === "error") {
    throw new MeshError(Code.INTERNAL, "an internal fault, which the log of the service describes", {
      reason: "INTERNAL_FAULT",
      cause: result.error,
    });
  }
}

function toFieldViolations(violations: readonly Violation[]): readonly FieldViolation[] {
  const named = violations.slice(0, maxViolations).map(({ field, message, ruleId }) => ({
    field: shortened(pathToString(field)),
    description: shortened(message === "" ? `breaks the rule ${ruleId}` : message),
    reason: shortened(ruleId),
  }));
  const left = violations.length - named.length;
  return left === 0 ? named : [...named, { field: "", description: `and ${left} more` }];
}

/** A text of which not more travels than a person reads. */
export function shortened(text: string): string {
  return text.length <= maxTextLength ? text : `${text.slice(0, maxTextLength).toWellFormed()}…`;
}
