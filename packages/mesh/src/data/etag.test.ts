import { describe, expect, test } from "vitest";
import { fromEtag, toEtag } from "./etag.ts";

describe("an etag", () => {
  test("gives its version back for its own resource alone", () => {
    const etag = toEtag("a", 7);
    expect(etag).toMatch(/^[\w-]{16}$/);
    expect(fromEtag("a", etag)).toBe(7);
    expect(fromEtag("b", etag)).toBeUndefined();
  });

  test("differs for every version", () => {
    const etags = Array.from({ length: 1_000 }, (_, index) => toEtag("a", index + 1));
    expect(new Set(etags).size).toBe(1_000);
  });

  test.each(["", "x", "AAAAAAAAAAAAAAAA", `${toEtag("a", 1)}A`, `${toEtag("a", 1)} `, "🙂"])("%j is none", (etag) => {
    expect(fromEtag("a", etag)).toBeUndefined();
  });
});
