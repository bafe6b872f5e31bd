import { describe, expect, test } from "vitest";
import { parseTemplate } from "./template.ts";

describe("a path template", () => {
  test.each([
    ["/v1/users", "/v1/users"],
    ["/v1/users/{id}", "/v1/users/*"],
    ["/v1/{name=shelves/*/books/*}", "/v1/shelves/*/books/*"],
    ["/v1/{name=files/**}", "/v1/files/**"],
    ["/v1/{name=**}/meta", "/v1/**/meta"],
    ["/v1/users:batchGet", "/v1/users:batchGet"],
    ["/v1/{user.id}:archive", "/v1/*:archive"],
    ["/v1/a%20b/*", "/v1/a%20b/*"],
  ])("%s has the shape %s", (text, shape) => {
    expect(parseTemplate(text).shape).toBe(shape);
  });

  test("says which segments each variable captures", () => {
    const { variables } = parseTemplate("/v1/{parent=shelves/*}/books/{book.id}");
    expect(variables).toEqual([
      { fieldPath: "parent", from: 1, to: 3, multiple: true },
      { fieldPath: "book.id", from: 4, to: 5, multiple: false },
    ]);
  });

  test.each([
    ["v1/users", "no slash"],
    ["/v1//users", "no segment"],
    ["/v1/{id", "does not close"],
    ["/v1/{id}x", "does not close"],
    ["/v1/{=*}", "no field path"],
    ["/v1/{a.}", "no field path"],
    ["/v1/{id}/{id}", "bound twice"],
    ["/v1/{user}/{user.id}", "bound twice"],
    ["/v1/**/x/**", "more than once"],
    ["/v1/users:", "verb"],
    ["/v1/a b", "no segment"],
    ["/v1/%zz", "no segment"],
    ["/v1/%ff", "no UTF-8"],
    ["/", "no segment"],
  ])("%s is refused: %s", (text, why) => {
    expect(() => parseTemplate(text)).toThrow(why);
  });
});
