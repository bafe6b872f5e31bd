import { Code } from "@protoloom/mesh";
import { describe, expect, test } from "vitest";
import { createRouter } from "./router.ts";
import type { Router } from "./router.ts";
import { parseTemplate } from "./template.ts";

function routerOf(...rules: readonly string[]): Router<string> {
  return createRouter(
    rules.map((rule) => {
      const [method = "", path = ""] = rule.split(" ");
      return { method, template: parseTemplate(path), value: rule };
    }),
  );
}

const router = routerOf(
  "GET /any/{name=**}",
  "GET /any/items/{id}",
  "GET /any/items/special",
  "GET /files/{name=files/**}",
  "GET /deep/{name=**}:download",
  "GET /meta/{name=**}/meta",
  "GET /books/{name=shelves/*/books/*}",
  "GET /things/{id}",
  "POST /things/{id}:archive",
  "PUT /things/{id}",
  "GET /things:list",
  "* /cache/{id}",
  "PURGE /cache/{id}",
  "GET /a%20b/{id}",
  "GET /two/*/{id}",
);

function find(request: string): unknown {
  const [method = "", path = ""] = request.split(" ");
  const result = router.find(method, path);
  return result.kind === "found" ? [result.value, ...result.captures] : result.kind === "refused" ? result.allow : result.kind;
}

describe("a router", () => {
  test.each<[string, unknown]>([
    ["GET /any/items/special", ["GET /any/items/special"]],
    ["GET /any/items/x", ["GET /any/items/{id}", "x"]],
    ["GET /any/items/x/y", ["GET /any/{name=**}", "items/x/y"]],
    ["GET /any", ["GET /any/{name=**}", ""]],
    ["GET /any/", ["GET /any/{name=**}", ""]],
    ["GET /files/files", ["GET /files/{name=files/**}", "files"]],
    ["GET /files/files/", ["GET /files/{name=files/**}", "files/"]],
    ["GET /files/files/a//b", ["GET /files/{name=files/**}", "files/a//b"]],
    ["GET /meta/meta", ["GET /meta/{name=**}/meta", ""]],
    ["GET /meta/a/meta/b/meta", ["GET /meta/{name=**}/meta", "a/meta/b"]],
    ["GET /meta/a", "unknown"],
    ["GET /things/", "unknown"],
    ["GET /things/x/", "unknown"],
    ["GET /Things/x", "unknown"],
    ["GET //things/x", "unknown"],
    ["GET /two/a/b", ["GET /two/*/{id}", "b"]],
    ["GET /two//b", "unknown"],
  ])("literal before * before **, with backtracking: %s", (request, expected) => {
    expect(find(request)).toEqual(expected);
  });

  test.each<[string, unknown]>([
    ["GET /things/x%2Fy", ["GET /things/{id}", "x/y"]],
    ["GET /things/a%252Fb", ["GET /things/{id}", "a%2Fb"]],
    ["GET /things/a+b", ["GET /things/{id}", "a+b"]],
    ["GET /things/a;b=1,c@d$", ["GET /things/{id}", "a;b=1,c@d$"]],
    ["GET /things/%E4%B8%96", ["GET /things/{id}", "世"]],
    ["GET /books/shelves/a%2fb/books/c%3Ad%25", ["GET /books/{name=shelves/*/books/*}", "shelves/a%2fb/books/c:d%"]],
    ["GET /a%20b/1", ["GET /a%20b/{id}", "1"]],
    ["GET /%61%20b/1", ["GET /a%20b/{id}", "1"]],
  ])("values are decoded once, and an escaped slash stays in several segments: %s", (request, expected) => {
    expect(find(request)).toEqual(expected);
  });

  test.each<[string, unknown]>([
    ["POST /things/1:archive", ["POST /things/{id}:archive", "1"]],
    ["GET /things:list", ["GET /things:list"]],
    ["GET /things/1:unknown", ["GET /things/{id}", "1:unknown"]],
    ["GET /things/1:", ["GET /things/{id}", "1:"]],
    ["GET /things/a:b:c", ["GET /things/{id}", "a:b:c"]],
    ["GET /things/1%3Aarchive", ["GET /things/{id}", "1:archive"]],
    ["GET /things/1:archive", "POST"],
    ["GET /deep:download", ["GET /deep/{name=**}:download", ""]],
    ["GET /deep/a/b:download", ["GET /deep/{name=**}:download", "a/b"]],
    ["GET /deep/a", "unknown"],
  ])("a verb is what some rule has, at the last raw colon: %s", (request, expected) => {
    expect(find(request)).toEqual(expected);
  });

  test.each<[string, unknown]>([
    ["PUT /things/x", ["PUT /things/{id}", "x"]],
    ["DELETE /things/x", "GET, PUT, HEAD"],
    ["HEAD /things/x", ["GET /things/{id}", "x"]],
    ["PURGE /cache/x", ["PURGE /cache/{id}", "x"]],
    ["PUT /cache/x", ["* /cache/{id}", "x"]],
  ])("the request's own method, then every method, then GET for HEAD: %s", (request, expected) => {
    expect(find(request)).toEqual(expected);
  });

  test("a less specific rule answers a method that the more specific one does not take", () => {
    const both = routerOf("POST /v1/items/special", "GET /v1/items/{id}");
    expect(both.find("GET", "/v1/items/special")).toMatchObject({ value: "GET /v1/items/{id}", captures: ["special"] });
  });

  test("the order of the rules does not count", () => {
    const rules = ["GET /v1/{name=**}", "GET /v1/{id}", "GET /v1/a"];
    for (const path of ["/v1/a", "/v1/b", "/v1/b/c"]) {
      expect(routerOf(...rules).find("GET", path)).toEqual(routerOf(...rules.toReversed()).find("GET", path));
    }
  });

  test.each([
    "/things/.",
    "/things/..",
    "/things/%2e%2E",
    "/a/../things/x",
    "/things/%zz",
    "/things/%2",
    "/things/%FF",
    "/things/%C0%AF",
  ])("%s is refused, never resolved", (path) => {
    expect(() => router.find("GET", path)).toThrow(expect.objectContaining({ code: Code.INVALID_ARGUMENT }) as Error);
  });

  test("two rules of one method and shape are an error: the caller decides which stands", () => {
    expect(() => routerOf("GET /v1/{a}", "GET /v1/{b}")).toThrow("declared twice");
  });

  test("a path of many segments takes no time, whatever the rules", () => {
    const deep = routerOf("GET /{a=**}/x/y/z", "GET /{a=**}/x/y", "GET /*/{a=**}/x");
    const startedMs = performance.now();
    expect(deep.find("GET", `${"/x/y".repeat(2_000)}/q`).kind).toBe("unknown");
    expect(performance.now() - startedMs).toBeLessThan(500);
  });
});
