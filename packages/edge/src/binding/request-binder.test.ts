import { createRegistry, toJson } from "@bufbuild/protobuf";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code } from "@protoloom/mesh";
import { describe, expect, test } from "vitest";
import { messageOf, testContract } from "../../test/contract.ts";
import { createJsonReaders } from "../json/message-reader.ts";
import { createRouter } from "../routing/router.ts";
import { parseTemplate } from "../routing/template.ts";
import { compileRequestBinder } from "./request-binder.ts";
import type { BindingRules } from "./request-binder.ts";

const readers = createJsonReaders(createRegistry(testContract));
const lenient: BindingRules = { allowed: new Set(["trace"]), ignoreUnknown: false, strictBody: false };

/** Binds `METHOD path?query` by a rule `METHOD template body`. */
function bind(type: string, rule: string, request: string, body = "", rules: BindingRules = lenient): JsonObject {
  const desc = messageOf(type);
  const [httpMethod = "", path = "", bodyField = ""] = rule.split(" ");
  const template = parseTemplate(path);
  const binder = compileRequestBinder(desc, { httpMethod, template, body: bodyField }, { readers, rules });
  const [requestPath = "", query = ""] = request.split("?");
  const found = createRouter([{ method: httpMethod, template, value: undefined }]).find(httpMethod, requestPath);
  if (found.kind !== "found") throw new Error(`${request} is not matched by ${rule}`);
  return toJson(desc, binder.bind(found.captures, query, { bytes: Buffer.from(body), contentType: "text/plain" })) as JsonObject;
}

const query = (text: string, rules?: BindingRules): JsonObject => bind("Kinds", "GET /query", `/query?${text}`, "", rules);
const refused = expect.objectContaining({ code: Code.INVALID_ARGUMENT }) as Error;

describe("a query", () => {
  test.each<[string, JsonObject]>([
    ["f_int32=5&fInt64=9007199254740993", { fInt32: 5, fInt64: "9007199254740993" }],
    ["f_bool=true&fDouble=1.5e3&f_float=-0.25", { fBool: true, fDouble: 1500, fFloat: -0.25 }],
    ["fDouble=NaN&fFloat=-Infinity", { fDouble: "NaN", fFloat: "-Infinity" }],
    ["f_color=COLOR_RED&r_color=2&r_color=COLOR_RED", { fColor: "COLOR_RED", rColor: ["COLOR_GREEN", "COLOR_RED"] }],
    ["r_int32=1&rInt32=2", { rInt32: [1, 2] }],
    ["f_string=a+b%2Bc%26d%3D", { fString: "a b+c&d=" }],
    ["f_string=a=b", { fString: "a=b" }],
    ["f_string&&", {}],
    ["opt_string=&w_int32=0&w_string=", { optString: "", wInt32: 0, wString: "" }],
    ["f_bytes=-_-_", { fBytes: "+/+/" }],
    ["inner.inner.leaf=z&inner%2Enum=1&inner.tags=a&inner.tags=b", { inner: { inner: { leaf: "z" }, num: 1, tags: ["a", "b"] } }],
    [
      "ts=2021-01-01T00:00:00Z&dur=1.5s&mask=f_int32,inner.leaf",
      { ts: "2021-01-01T00:00:00Z", dur: "1.500s", mask: "fInt32,inner.leaf" },
    ],
    [
      "labels[k]=v&labels[a.b]=c&labels[__proto__]=d",
      { labels: JSON.parse('{"k":"v","a.b":"c","__proto__":"d"}') as JsonObject },
    ],
    ["trace=1&f_int32=1", { fInt32: 1 }],
    ["f_string=null", { fString: "null" }],
  ])("sets what %s says", (text, expected) => {
    expect(query(text)).toEqual(expected);
  });

  test.each([
    "nope=1",
    "inner.nope=1",
    "__proto__.x=1",
    "constructor=1",
    "f_string.x=1",
    "r_inner.leaf=1",
    "inner=x",
    "r_inner=x",
    "labels=x",
    "st=x",
    "ts.seconds=1",
    "f_int32[k]=1",
    "f_int32=1&f_int32=2",
    "f_int32=1&fInt32=2",
    "labels[a]=1&labels[a]=2",
    "c_text=a&c_num=1",
    "f_int32=2147483648",
    "f_int32=0x10",
    "f_int32=1e2",
    "f_int32=",
    "f_uint32=-1",
    "f_bool=1",
    "f_bool=TRUE",
    "f_color=COLOR_PURPLE",
    "f_color=99",
    "f_bytes=***",
    "f_double=1e400",
    "ts=null",
    "ts=2021-02-30T00:00:00Z",
    "dur=1h",
    "f_string=%FF",
    "f_string=%zz",
  ])("is refused: %s", (text) => {
    expect(() => query(text)).toThrow(refused);
  });

  test("names what is unknown, and ignores it where it is told to", () => {
    expect(() => query("inner.nope=1")).toThrow('"inner.nope"');
    expect(query("inner.nope=1&f_int32=1", { ...lenient, ignoreUnknown: true })).toEqual({ fInt32: 1 });
  });
});

describe("a field belongs to the path before the body before the query", () => {
  test.each<[string, JsonObject]>([
    [bindTitle("Kinds", "GET /q/{f_string}", "/q/abc?f_string=zzz&f_int32=1"), { fString: "abc", fInt32: 1 }],
    [bindTitle("Kinds", "GET /q/{inner.leaf}", "/q/a?inner.num=3&inner.leaf=b"), { inner: { leaf: "a", num: 3 } }],
    [
      bindTitle("Kinds", "POST /q/{f_string} *", "/q/abc?f_int32=9", '{"f_string":"zzz","fInt32":1}'),
      { fString: "abc", fInt32: 1 },
    ],
    [
      bindTitle("Kinds", "PUT /q/{f_int64} inner", "/q/5?inner.num=1&f_bool=true", '{"leaf":"x"}'),
      { fInt64: "5", inner: { leaf: "x" }, fBool: true },
    ],
    [bindTitle("Kinds", "POST /q/{c_num} *", "/q/7", '{"cText":"x"}'), { cNum: 7 }],
    [bindTitle("Kinds", "POST /q/{w_int32} *", "/q/0", '{"wInt32":5}'), { wInt32: 0 }],
    [
      bindTitle("CreateItemRequest", "POST /{parent=shelves/*}/items item", "/shelves/1/items?item_id=i", '{"title":"T"}'),
      { parent: "shelves/1", item: { title: "T" }, itemId: "i" },
    ],
    [bindTitle("Path", "POST /ping/{id}", "/ping/9", '{"id":"evil"}'), { id: "9" }],
  ])("%s", (title, expected) => {
    const [type, rule, request, body] = JSON.parse(title) as [string, string, string, string];
    expect(bind(type, rule, request, body)).toEqual(expected);
  });

  test("the body is checked as a whole, also where the path replaces it", () => {
    expect(() => bind("Kinds", "POST /q/{f_string} *", "/q/abc", '{"fString":1}')).toThrow(refused);
  });

  test("a variable that is no value of its type is refused", () => {
    expect(() => bind("Kinds", "GET /q/{f_int32}", "/q/x")).toThrow('f_int32: "x"');
  });
});

function bindTitle(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}

describe("a body field", () => {
  test.each<[string, string, JsonObject]>([
    ["item", "", { item: {} }],
    ["item", "{}", { item: {} }],
    ["item", '{"pageCount":1}', { item: { pageCount: 1 } }],
  ])("%s of %j", (field, body, expected) => {
    expect(bind("CreateItemRequest", `POST /items ${field}`, "/items", body)).toEqual(expected);
  });

  test.each<[string, string, JsonObject]>([
    ["r_int32", "[1,2]", { rInt32: [1, 2] }],
    ["r_int32", "", {}],
    ["labels", '{"a":"b"}', { labels: { a: "b" } }],
    ["f_string", '"hello"', { fString: "hello" }],
    ["w_int32", "7", { wInt32: 7 }],
    ["st", '{"a":[1]}', { st: { a: [1] } }],
    ["st", "", { st: {} }],
  ])("%s of %j", (field, body, expected) => {
    expect(bind("Kinds", `POST /k ${field}`, "/k", body)).toEqual(expected);
  });

  test.each([
    ["r_int32", "{}"],
    ["labels", "[]"],
    ["f_string", "1"],
    ["inner", "null"],
    ["inner", "  "],
    ["inner", '{"leaf":"\xc3("}'],
  ])("%s of another shape is refused: %j", (field, body) => {
    const bytes = Buffer.from(body, "latin1");
    const desc = messageOf("Kinds");
    const binder = compileRequestBinder(
      desc,
      { httpMethod: "POST", template: parseTemplate("/k"), body: field },
      { readers, rules: lenient },
    );
    expect(() => binder.bind([], "", { bytes, contentType: "" })).toThrow(refused);
  });

  test("of google.api.HttpBody takes the bytes as they are, beside path and query", () => {
    expect(bind("UploadRequest", "POST /files/{id} file", "/files/f1?note=n", '{"a":')).toEqual({
      id: "f1",
      note: "n",
      file: { contentType: "text/plain", data: Buffer.from('{"a":').toString("base64") },
    });
  });
});

describe("the mask of a PATCH", () => {
  const patch = (request: string, body: string): JsonObject =>
    bind("UpdateItemRequest", "PATCH /{item.name=items/*} item", request, body);

  test.each<[string, string, unknown]>([
    ["/items/1", '{"title":"","pageCount":0}', "pageCount,title"],
    ["/items/1", '{"title":null}', "title"],
    ["/items/1", '{"tags":["a"],"details":{"inner":{"leaf":"x"},"tags":[]}}', "details.inner.leaf,details.tags,tags"],
    ["/items/1", '{"details":{}}', "details"],
    ["/items/1", '{"name":"items/9","title":"A"}', "title"],
    ["/items/1", "{}", undefined],
    ["/items/1", '{"name":"items/9"}', undefined],
    ["/items/1?update_mask=pageCount,details.num", '{"title":"A","nope":1}', "pageCount,details.num"],
    ["/items/1?updateMask=*", "{}", "*"],
  ])("%s with %s is %s", (request, body, mask) => {
    expect(patch(request, body)["updateMask"]).toBe(mask);
  });

  test("refuses a key that no mask could name", () => {
    expect(() => patch("/items/1", '{"nope":1}')).toThrow('"nope"');
  });

  test("is not derived for PUT, nor for a whole body", () => {
    expect(bind("UpdateItemRequest", "PUT /{item.name=items/*} item", "/items/1", '{"title":"A"}')["updateMask"]).toBeUndefined();
    expect(
      bind("UpdateItemRequest", "PATCH /{item.name=items/*} *", "/items/1", '{"item":{"title":"A"}}')["updateMask"],
    ).toBeUndefined();
  });
});

test.each([
  ["GET /x/{nope}", "no field nope"],
  ["GET /x/{inner}", "no singular scalar"],
  ["GET /x/{r_int32}", "no singular scalar"],
  ["GET /x/{inner.nope}", "no field inner.nope"],
  ["POST /x nope", "no field nope"],
])("a rule that names a field wrongly is refused when it is compiled: %s", (rule, why) => {
  const [httpMethod = "", path = "", body = ""] = rule.split(" ");
  expect(() =>
    compileRequestBinder(messageOf("Kinds"), { httpMethod, template: parseTemplate(path), body }, { readers, rules: lenient }),
  ).toThrow(why);
});
