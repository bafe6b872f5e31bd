import { getOption, hasOption } from "@bufbuild/protobuf";
import type { DescMethod } from "@bufbuild/protobuf";
import { http } from "@protoloom/protos/google/api/annotations_pb";
import type { HttpRule } from "@protoloom/protos/google/api/http_pb";
import { parseTemplate } from "../routing/template.ts";
import type { Template } from "../routing/template.ts";

/** One binding of a method to HTTP: its main rule, or one of `additional_bindings`. */
export interface RestRule {
  /** HTTP method, or `*` for every one. */
  readonly httpMethod: string;
  readonly template: Template;
  /** Name of the field that the body is, `*` for the whole message, empty for none. */
  readonly body: string;
  /** Name of the field that the answer is; empty for the whole message. */
  readonly responseBody: string;
}

/** A rule that cannot be served, and why. */
export interface RefusedRule {
  readonly method: string;
  readonly rule: string;
  readonly why: string;
}

/** Reads google.api.http of a method. A malformed rule goes to `refuse`; the others stand. */
export function readRestRules(method: DescMethod, refuse: (refused: RefusedRule) => void): RestRule[] {
  if (!hasOption(method, http)) return [];
  const main = getOption(method, http);
  const rules: RestRule[] = [];
  for (const rule of [main, ...main.additionalBindings]) {
    const pattern = patternOf(rule);
    try {
      if (pattern === undefined) throw new Error("the rule has no path");
      if (method.methodKind === "bidi_streaming") throw new Error("a bidirectional stream has no rule");
      rules.push({
        httpMethod: pattern.httpMethod,
        template: parseTemplate(pattern.path),
        body: rule.body,
        responseBody: rule.responseBody,
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      refuse({
        method: `${method.parent.typeName}/${method.name}`,
        rule: pattern === undefined ? "" : `${pattern.httpMethod} ${pattern.path}`,
        why,
      });
    }
  }
  return rules;
}

function patternOf({ pattern }: HttpRule): { readonly httpMethod: string; readonly path: string } | undefined {
  if (pattern.case === undefined) return undefined;
  if (pattern.case === "custom") return { httpMethod: pattern.value.kind, path: pattern.value.path };
  return { httpMethod: pattern.case.toUpperCase(), path: pattern.value };
}
