import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFilter } from "./create-filter.ts";
import { FilterError } from "./filter-error.ts";
import { flag, integer, struct, text, textMap, texts } from "./shape.ts";

// What the language means is in test-contract/filter-cases.ts, where a real Consul answers too.
const shape = struct({ Name: text, Port: integer, Up: flag, Tags: texts, Meta: textMap });
const row = { Name: "a", Port: 80, Tags: ["x"], Meta: { version: "v2" } };

describe("a filter", () => {
  test("says where it cannot be read", () => {
    expect(() => createFilter("Name == a && Port == 80", shape)).toThrow(
      /^1:11 \(10\): no match found, expected: "and", "or" or the end$/,
    );
    expect(() => createFilter("(Name == a", shape)).toThrow(/^1:11 \(10\): unmatched parentheses$/);
  });

  test("reads a field that has no value as the empty value of its kind", () => {
    expect(createFilter("Up == false", shape)(row)).toBe(true);
    expect(createFilter("Port == 0", shape)({})).toBe(true);
    expect(createFilter('Name == ""', shape)({})).toBe(true);
    expect(createFilter("Tags is empty", shape)({})).toBe(true);
  });

  test("takes names of Object's own for what they are: names that a map has not", () => {
    expect(createFilter("Meta.constructor != v2", shape)(row)).toBe(true);
    expect(createFilter("toString in Meta", shape)(row)).toBe(false);
    expect(() => createFilter("constructor == x", shape)).toThrow(FilterError);
    expect(createFilter('Meta["__proto__"] == x', shape)({ Meta: JSON.parse('{"__proto__":"x"}') as object })).toBe(true);
  });

  test("gives up on a regular expression that does not end", () => {
    const filter = createFilter('Name matches "^(a+)+$"', shape);
    expect(() => filter({ Name: `${"a".repeat(40)}b` })).toThrow(/takes too long/);
    expect(filter({ Name: "aaa" })).toBe(true);
  });

  test("has a limit to its depth, in parentheses and in negations", () => {
    expect(() => createFilter("(".repeat(5_000), shape)).toThrow(/more than 100 levels/);
    expect(() => createFilter(`${"not ".repeat(5_000)}Name == a`, shape)).toThrow(/more than 100 levels/);
    expect(createFilter(`${"(".repeat(50)}Name == a${")".repeat(50)}`, shape)(row)).toBe(true);
    expect(createFilter(Array.from({ length: 1_000 }, () => "Name == a").join(" and "), shape)(row)).toBe(true);
  });

  test("never fails with anything but a FilterError, whatever is written", () => {
    const words = [
      "Name",
      "Port",
      "Meta.version",
      "Tags",
      "==",
      "!=",
      "in",
      "not",
      "is",
      "empty",
      "and",
      "or",
      "(",
      ")",
      '"x"',
      "80",
      "contains",
      "matches",
      '"(',
      "\\",
    ];
    const written = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...words), { maxLength: 12 }).map((parts) => parts.join(" ")),
    );
    fc.assert(
      fc.property(written, (source) => {
        try {
          expect(typeof createFilter(source, shape)(row)).toBe("boolean");
        } catch (error) {
          expect(error).toBeInstanceOf(FilterError);
        }
      }),
      { numRuns: 2_000, seed: 1 },
    );
  });
});
