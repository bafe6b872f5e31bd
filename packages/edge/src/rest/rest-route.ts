import { toBinary } from "@bufbuild/protobuf";
import type { DescMessage } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import type { Message } from "@bufbuild/protobuf";
import { Code, MeshError } from "@protoloom/mesh";
import { compileRequestBinder } from "../binding/request-binder.ts";
import type { BindingRules, RequestBody } from "../binding/request-binder.ts";
import { compileJsonWriter } from "../json/json-writer.ts";
import type { ExposedMethod } from "../rpc/exposed-method.ts";
import type { RestRule } from "./rest-rule.ts";

/** An answer as its HTTP body. */
export interface RestAnswer {
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

/** One rule of a method, compiled: from the parts of a request to bytes, and from bytes to a body. */
export interface RestRoute {
  readonly method: ExposedMethod;
  readonly rule: RestRule;
  /** What is done with a request's body. */
  readonly body: "json" | "raw" | "none";
  /** Throws INVALID_ARGUMENT. */
  toRequest(captures: readonly string[], query: string, body: RequestBody): Uint8Array;
  /** As toRequest, for the second and later messages of a stream: path and query are in the first one alone. */
  toNextRequest(body: RequestBody): Uint8Array;
  /** Throws INTERNAL. */
  toAnswer(message: Uint8Array): RestAnswer;
}

/** Compiles a rule. Throws an Error if it names fields that do not exist or that it cannot set. */
export function compileRestRoute(method: ExposedMethod, rule: RestRule, rules: BindingRules): RestRoute {
  const { input, output } = method.descriptor;
  const context = { readers: method.readers, rules };
  const binder = compileRequestBinder(input, rule, context);
  const isStream = method.descriptor.methodKind === "client_streaming";
  const next = isStream
    ? compileRequestBinder(input, { ...rule, template: { ...rule.template, variables: [] } }, context)
    : binder;
  return {
    method,
    rule,
    body: binder.body,
    toRequest: (captures, query, body) => toBinary(input, binder.bind(captures, query, body)),
    toNextRequest: (body) => toBinary(input, next.bind([], "", body)),
    toAnswer: compileAnswer(output, method, rule.responseBody),
  };
}

function compileAnswer(output: DescMessage, method: ExposedMethod, responseBody: string): RestRoute["toAnswer"] {
  const field = responseBody === "" ? undefined : output.fields.find(({ name }) => name === responseBody);
  const whole = output.typeName === "google.api.HttpBody";
  if (!whole && field?.message?.typeName !== "google.api.HttpBody") {
    const write = compileJsonWriter(output, method.registry, responseBody);
    return (message) => ({ contentType: "application/json", body: write(message) });
  }
  return (message) => {
    const answer = decode(output, message);
    const { contentType, data } = (whole ? answer : (answer[field?.localName ?? ""] ?? {})) as {
      contentType?: string;
      data?: Uint8Array;
    };
    return { contentType: contentType || "application/octet-stream", body: data ?? new Uint8Array() };
  };
}

function decode(desc: DescMessage, bytes: Uint8Array): Message & Record<string, unknown> {
  try {
    return fromBinary(desc, bytes) as Message & Record<string, unknown>;
  } catch (error) {
    throw new MeshError(Code.INTERNAL, `the service's answer is no ${desc.typeName}`, { reason: "INTERNAL_FAULT", cause: error });
  }
}
