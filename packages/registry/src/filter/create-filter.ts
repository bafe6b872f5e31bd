import { FilterError } from "./filter-error.ts";
import { parseFilter } from "./parse-filter.ts";
import type { Expression, Operator } from "./parse-filter.ts";
import { createPattern } from "./pattern.ts";
import type { Shape } from "./shape.ts";

/** Says whether a row is wanted. */
export type Filter = (row: unknown) => boolean;

/** The operators that fit each kind of field. */
const operators: Readonly<Record<Shape["kind"], ReadonlySet<Operator>>> = {
  text: new Set(["equal", "notEqual", "in", "notIn", "matches", "notMatches"]),
  integer: new Set(["equal", "notEqual"]),
  flag: new Set(["equal", "notEqual"]),
  texts: new Set(["in", "notIn", "isEmpty", "isNotEmpty"]),
  map: new Set(["in", "notIn", "isEmpty", "isNotEmpty"]),
  struct: new Set(),
  structs: new Set(["isEmpty", "isNotEmpty"]),
};
const trueTexts = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const falseTexts = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/**
 * Makes a filter for rows of a shape. Selectors, operators and values are checked against the shape here, so that a filter
 * that no row could match for want of a field is refused. Throws FilterError.
 */
export function createFilter(source: string, shape: Shape): Filter {
  return compile(parseFilter(source), shape);
}

function compile(expression: Expression, shape: Shape): Filter {
  switch (expression.kind) {
    case "not": {
      const inner = compile(expression.inner, shape);
      return (row) => !inner(row);
    }
    case "match":
      return select(expression, expression.selector, shape);
    default: {
      const left = compile(expression.left, shape);
      const right = compile(expression.right, shape);
      return expression.kind === "or" ? (row) => left(row) || right(row) : (row) => left(row) && right(row);
    }
  }
}

type Match = Extract<Expression, { kind: "match" }>;

/** Follows a selector into a row; at its end stands the comparison. */
function select(match: Match, path: readonly string[], shape: Shape): Filter {
  const [name, ...rest] = path;
  if (name === undefined) return compare(match, shape);
  if (shape.kind === "map") {
    const inner = select(match, rest, shape.of);
    // Consul's answer for a name that a map has not: everything but `==` and `in` holds.
    const withoutName = match.operator !== "equal" && match.operator !== "in";
    return (row) => (hasField(row, name) ? inner(field(row, name)) : withoutName);
  }
  const next = shape.kind === "struct" || shape.kind === "structs" ? own(shape.fields, name) : undefined;
  if (next === undefined) throw new FilterError(`Selector ${JSON.stringify(match.selector.join("."))} is not valid`);
  const inner = select(match, rest, next);
  if (shape.kind !== "structs") return (row) => inner(field(row, name));
  return (row) => Array.isArray(row) && row.some((item: unknown) => inner(field(item, name)));
}

function compare(match: Match, shape: Shape): Filter {
  const { operator, value } = match;
  const selector = JSON.stringify(match.selector.join("."));
  if (!operators[shape.kind].has(operator))
    throw new FilterError(`Invalid match operator "${operator}" for selector ${selector}`);
  switch (operator) {
    case "equal":
    case "notEqual": {
      const wanted = coerce(value, shape, selector);
      // A field without a value has the empty value of its kind.
      const none = typeof wanted === "string" ? "" : typeof wanted === "number" ? 0 : false;
      return operator === "equal" ? (found) => (found ?? none) === wanted : (found) => (found ?? none) !== wanted;
    }
    case "in":
    case "notIn":
      return operator === "in" ? (found) => holds(found, value) : (found) => !holds(found, value);
    case "matches":
    case "notMatches": {
      const pattern = createPattern(value);
      const matches: Filter = (found) => pattern(typeof found === "string" ? found : "");
      return operator === "matches" ? matches : (found) => !matches(found);
    }
    default:
      return operator === "isEmpty" ? isEmpty : (found) => !isEmpty(found);
  }
}

function coerce(value: string, shape: Shape, selector: string): string | number | boolean {
  if (shape.kind === "text") return value;
  if (shape.kind === "integer" && /^-?\d+$/.test(value)) return Number(value);
  if (shape.kind === "flag" && trueTexts.has(value)) return true;
  if (shape.kind === "flag" && falseTexts.has(value)) return false;
  throw new FilterError(`Failed to coerce value ${JSON.stringify(value)} for selector ${selector}`);
}

function holds(found: unknown, value: string): boolean {
  if (typeof found === "string" || Array.isArray(found)) return found.includes(value);
  return hasField(found, value);
}

function isEmpty(found: unknown): boolean {
  return typeof found !== "object" || found === null || Object.keys(found).length === 0;
}

function hasField(value: unknown, name: string): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name);
}

function field(value: unknown, name: string): unknown {
  return hasField(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function own(fields: Readonly<Record<string, Shape>>, name: string): Shape | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}
