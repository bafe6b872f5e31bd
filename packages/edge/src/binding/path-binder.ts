import type { DescMessage } from "@bufbuild/protobuf";
import { malformedRequest } from "../errors/request-error.ts";
import type { Members } from "../json/message-reader.ts";
import type { Template } from "../routing/template.ts";
import { findField, holderOf, setField } from "./field-path.ts";
import { urlValueParser } from "./url-value.ts";

/** Puts the values of a path into a request. */
export interface PathBinder {
  /** Fields that the path owns, in proto spelling. */
  readonly owned: readonly string[];
  /** `captures` are the values of the template's variables, in their order. Throws INVALID_ARGUMENT. */
  bind(message: Members, captures: readonly string[]): void;
}

/** Compiles the variables of a template. Throws an Error for one that names no field that text can set. */
export function compilePathBinder(desc: DescMessage, template: Template): PathBinder {
  const variables = template.variables.map(({ fieldPath }) => {
    const path = findField(desc, fieldPath);
    if (path === undefined) throw new Error(`${desc.typeName} has no field ${fieldPath}`);
    const parse = path.field.fieldKind === "list" || path.field.fieldKind === "map" ? undefined : urlValueParser(path.field);
    if (parse === undefined) throw new Error(`${desc.typeName}.${fieldPath} is no singular scalar`);
    return { path, parse };
  });
  return {
    owned: variables.map(({ path }) => path.name),
    bind(message, captures) {
      for (const [index, { path, parse }] of variables.entries()) {
        const text = captures[index] ?? "";
        const value = parse(text);
        if (value === undefined) throw malformedRequest(`${path.name}: ${JSON.stringify(text)} is no value of its type`);
        setField(path.fields.length === 1 ? message : holderOf(message, path), path.field, value);
      }
    },
  };
}
