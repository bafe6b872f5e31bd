import { createScanner } from "./scanner.ts";
import type { Scanner } from "./scanner.ts";

/** What one comparison does. */
export type Operator = "equal" | "notEqual" | "in" | "notIn" | "matches" | "notMatches" | "isEmpty" | "isNotEmpty";

/** A filter as it was written. */
export type Expression =
  | { readonly kind: "or" | "and"; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "not"; readonly inner: Expression }
  | { readonly kind: "match"; readonly selector: readonly string[]; readonly operator: Operator; readonly value: string };

/** Deepest nesting of parentheses and `not`. */
const maxDepth = 100;

/**
 * Reads a filter in the language of Consul's API (`Service.Meta.version == "v2" and "x" in Service.Tags`): the operators
 * `==`, `!=`, `in`, `not in`, `contains`, `not contains`, `matches`, `not matches`, `is empty`, `is not empty`, joined by
 * `and`, `or`, `not` and parentheses; words are set apart by white space. Throws FilterError with the place.
 */
export function parseFilter(source: string): Expression {
  const scanner = createScanner(source);
  scanner.space();
  const expression = parseOr(scanner, 0);
  scanner.space();
  if (!scanner.atEnd) throw scanner.expected(`"and", "or" or the end`);
  return expression;
}

function parseOr(scanner: Scanner, depth: number): Expression {
  let left = parseAnd(scanner, depth);
  while (scanner.spacedWord("or")) left = { kind: "or", left, right: parseAnd(scanner, depth) };
  return left;
}

function parseAnd(scanner: Scanner, depth: number): Expression {
  let left = parseNot(scanner, depth);
  while (scanner.spacedWord("and")) left = { kind: "and", left, right: parseNot(scanner, depth) };
  return left;
}

function parseNot(scanner: Scanner, depth: number): Expression {
  if (depth > maxDepth) throw scanner.failed(`more than ${maxDepth} levels`);
  if (scanner.word("not")) return { kind: "not", inner: parseNot(scanner, depth + 1) };
  if (!scanner.take("(")) return parseMatch(scanner);
  scanner.space();
  const inner = parseOr(scanner, depth + 1);
  scanner.space();
  if (!scanner.take(")")) throw scanner.failed("unmatched parentheses");
  return inner;
}

function parseMatch(scanner: Scanner): Expression {
  const left = scanner.operand();
  if (left === undefined) throw scanner.expected('a selector, a value, "not" or "("');
  if (left.selector !== undefined) {
    const match = parseRight(scanner, left.selector);
    if (match !== undefined) return match;
  }
  const negated = scanner.spacedWord("not");
  if (!(negated ? scanner.word("in") : scanner.spacedWord("in"))) throw scanner.expected("an operator");
  const right = scanner.operand();
  if (right?.selector === undefined) throw scanner.failed("invalid selector");
  return { kind: "match", selector: right.selector, operator: negated ? "notIn" : "in", value: left.text };
}

/** What follows a selector that stands on the left; undefined: it is the value of an `in`. */
function parseRight(scanner: Scanner, selector: readonly string[]): Expression | undefined {
  const match = (operator: Operator, value: string): Expression => ({ kind: "match", selector, operator, value });
  const start = scanner.position;
  scanner.space();
  if (scanner.take("==")) return match("equal", readValue(scanner));
  if (scanner.take("!=")) return match("notEqual", readValue(scanner));
  scanner.goTo(start);
  if (scanner.spacedWord("is")) {
    const negated = scanner.word("not");
    if (!scanner.take("empty")) throw scanner.expected(`"empty" or "not empty"`);
    return match(negated ? "isNotEmpty" : "isEmpty", "");
  }
  const negated = scanner.spacedWord("not");
  if (negated ? scanner.word("contains") : scanner.spacedWord("contains"))
    return match(negated ? "notIn" : "in", readValue(scanner));
  if (negated ? scanner.word("matches") : scanner.spacedWord("matches"))
    return match(negated ? "notMatches" : "matches", readValue(scanner));
  scanner.goTo(start);
  return undefined;
}

function readValue(scanner: Scanner): string {
  scanner.space();
  const operand = scanner.operand();
  if (operand === undefined) throw scanner.expected("a value");
  return operand.text;
}
