import { describe, expect, test } from "vitest";
import { parseOrderBy } from "./order-by.ts";
import type { OrderTerm } from "./order-by.ts";

const options = { fields: { name: "name", create_time: "create_ms" }, fallback: "create_time", domain: "test.v1" };
const up = (column: string): OrderTerm => ({ column, descending: false });
const down = (column: string): OrderTerm => ({ column, descending: true });

describe("order_by", () => {
  test.each<[string, OrderTerm[]]>([
    ["", [up("create_ms"), up("id")]],
    ["  ", [up("create_ms"), up("id")]],
    ["name", [up("name"), up("id")]],
    ["name asc", [up("name"), up("id")]],
    [" name   desc ", [down("name"), down("id")]],
    ["name desc,create_time", [down("name"), up("create_ms"), up("id")]],
    ["create_time, name desc", [up("create_ms"), down("name"), down("id")]],
  ])("%j is read with the id behind it", (text, terms) => {
    expect(parseOrderBy(text, options)).toEqual(terms);
  });

  test.each([
    ["nonsense", '"nonsense" is no field'],
    ["create_ms", '"create_ms" is no field'],
    ["constructor", '"constructor" is no field'],
    ["name DESC", "after name only desc or asc"],
    ["name desc asc", "after name only desc or asc"],
    ["name,,create_time", '"" is no field'],
    ["name, name desc", "name stands twice"],
  ])("%j is refused", (text, why) => {
    expect(() => parseOrderBy(text, options)).toThrow(
      expect.objectContaining({ code: 3, reason: "ORDER_BY_INVALID", domain: "test.v1", message: expect.stringContaining(why) }),
    );
  });
});
