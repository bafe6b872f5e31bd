import { createRegistry, toJson } from "@bufbuild/protobuf";
import type { JsonObject, Message } from "@bufbuild/protobuf";
import { Code } from "@protoloom/mesh";
import { describe, expect, test } from "vitest";
import { messageOf, testContract } from "../../test/contract.ts";
import { createJsonReaders, readJson } from "./message-reader.ts";

const kinds = messageOf("Kinds");
const readers = createJsonReaders(createRegistry(testContract));

function read(text: string, strict = false): JsonObject {
  const message = readJson(text, readers.message(kinds), { strict }) as Message;
  return toJson(kinds, message) as JsonObject;
}

const nested = (levels: number): string => `${'{"inner":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;

describe("a JSON reader accepts", () => {
  test.each<[string, JsonObject]>([
    ['{"fInt32":1,"f_int64":"2"}', { fInt32: 1, fInt64: "2" }],
    [
      '{"fInt64":9007199254740993,"fUint64":18446744073709551615}',
      { fInt64: "9007199254740993", fUint64: "18446744073709551615" },
    ],
    ['{"fInt64":-9223372036854775808}', { fInt64: "-9223372036854775808" }],
    ['{"fInt32":1e2,"fInt64":1.50e1,"fUint32":"3"}', { fInt32: 100, fInt64: "15", fUint32: 3 }],
    ['{"fInt32":-0,"fInt64":1000e-3}', { fInt64: "1" }],
    ['{"fDouble":"NaN","fFloat":"-Infinity"}', { fDouble: "NaN", fFloat: "-Infinity" }],
    ['{"fDouble":"1.5","fFloat":1}', { fDouble: 1.5, fFloat: 1 }],
    ['{"fColor":"COLOR_RED","rColor":[2,"COLOR_RED",99]}', { fColor: "COLOR_RED", rColor: ["COLOR_GREEN", "COLOR_RED", 99] }],
    ['{"fBytes":"-_-_","fString":"\\u00e9\\n😀"}', { fBytes: "+/+/", fString: "é\n😀" }],
    ['{"fBytes":"YQ"}', { fBytes: "YQ==" }],
    [
      '{"ts":"2021-01-01T02:00:00.5+02:00","dur":"-1.5s","mask":"fInt32,inner.leaf"}',
      { ts: "2021-01-01T00:00:00.500Z", dur: "-1.500s", mask: "fInt32,inner.leaf" },
    ],
    ['{"ts":"2024-02-29T23:59:59Z"}', { ts: "2024-02-29T23:59:59Z" }],
    ['{"wInt32":0,"wString":""}', { wInt32: 0, wString: "" }],
    [
      '{"st":{"__proto__":{"a":[1,null]},"k":true},"val":null}',
      JSON.parse('{"st":{"__proto__":{"a":[1,null]},"k":true},"val":null}') as JsonObject,
    ],
    [
      '{"labels":{"__proto__":"a","constructor":"b"}}',
      JSON.parse('{"labels":{"__proto__":"a","constructor":"b"}}') as JsonObject,
    ],
    ['{"cText":"x","cNum":null}', { cText: "x" }],
    ['{"cVal":null}', { cVal: null }],
    ['{"optString":"","fString":null,"rInt32":null,"inner":null}', { optString: "" }],
    [
      '{"inner":{"inner":{"leaf":"x"},"tags":["a","b"]},"rInner":[{},{"num":1}]}',
      { inner: { inner: { leaf: "x" }, tags: ["a", "b"] }, rInner: [{}, { num: 1 }] },
    ],
    [' { "fBool" : true }\r\n\t', { fBool: true }],
    ['{"unknown":{"a":[1,{"b":null}]},"fColor":"COLOR_PURPLE","rColor":["COLOR_PURPLE",1]}', { rColor: ["COLOR_RED"] }],
    ['{"__proto__":{"fInt32":3}}', {}],
  ])("%s", (text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  test("100 levels", () => {
    expect(() => read(nested(100))).not.toThrow();
  });
});

describe("a JSON reader refuses", () => {
  test.each([
    "",
    "  ",
    "[]",
    "null",
    '{"fInt32":1,}',
    '{"fInt32":1}x',
    "{'fInt32':1}",
    '{"fInt32":1 /* one */}',
    '{"fInt32":01}',
    '{"fInt32":+1}',
    '{"fInt32":.5}',
    '{"fInt32":1.5}',
    '{"fInt32":""}',
    '{"fInt32":"abc"}',
    '{"fInt32":" 1"}',
    '{"fInt32":2147483648}',
    '{"fInt32":1e999999999}',
    '{"fUint32":-1}',
    '{"fInt64":9223372036854775808}',
    '{"fUint64":1.5}',
    '{"fFloat":1e39}',
    '{"fDouble":1e400}',
    '{"fDouble":NaN}',
    '{"fBool":"true"}',
    '{"fBool":1}',
    '{"fString":1}',
    '{"fString":"\\ud800"}',
    '{"fString":"\\udc00\\ud800"}',
    '{"fString":"\\x"}',
    '{"fString":"a\nb"}',
    '{"fString":"a',
    '{"fString":"a\\',
    '{"fBytes":"***"}',
    '{"fBytes":"YQ="}',
    '{"fInt32":1,"fInt32":2}',
    '{"fInt32":1,"f_int32":2}',
    '{"fInt32":1,"\\u0066Int32":2}',
    '{"x":1,"x":2}',
    '{"st":{"a":1,"a":2}}',
    '{"val":[{"a":1,"a":2}]}',
    '{"labels":{"a":"1","a":"2"}}',
    '{"cText":"x","cNum":1}',
    '{"rInt32":[1,null]}',
    '{"rInner":[null]}',
    '{"labels":{"a":null}}',
    '{"rInt32":{}}',
    '{"rInt32":[1,]}',
    '{"inner":[]}',
    '{"ts":"2021-02-30T00:00:00Z"}',
    '{"ts":"2021-02-29T00:00:00Z"}',
    '{"ts":"2021-01-01T24:00:00Z"}',
    '{"ts":"2021-01-01"}',
    '{"ts":"0000-01-01T00:00:00Z"}',
    '{"dur":"1h"}',
    '{"dur":"1sx"}',
    '{"dur":"315576000001s"}',
    '{"val":1e400}',
    "\ufeff{}",
    '{"unknown":tru}',
    "{",
    '{"fInt32"',
    '{"fInt32":',
    '{"fInt32":1',
  ])("%j", (text) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: Code.INVALID_ARGUMENT, reason: "MALFORMED_REQUEST" }) as Error,
    );
  });

  test("101 levels, in fields, in a Value and in what is unknown", () => {
    expect(() => read(nested(101))).toThrow("deeper than 100");
    expect(() => read(`{"val":${"[".repeat(100)}${"]".repeat(100)}}`)).toThrow("deeper than 100");
    expect(() => read(`{"x":${"[".repeat(10_000)}`)).toThrow("deeper than 100");
  });

  test("unknown fields and enum names where it is strict", () => {
    expect(() => read('{"nope":1}', true)).toThrow('no field "nope"');
    expect(() => read('{"fColor":"COLOR_PURPLE"}', true)).toThrow("COLOR_PURPLE");
  });
});

test("nothing read from JSON reaches the prototype of objects", () => {
  read('{"labels":{"__proto__":"polluted"},"st":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}');
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});
