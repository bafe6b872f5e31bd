import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Code } from "../base/code.ts";
import { answerMetadata, codeOfHttpStatus, decodeMessage, encodeTimeout, isGrpcContent, requestHeaders } from "./headers.ts";

describe("request headers", () => {
  test("carry custom metadata, and no reserved name", () => {
    const metadata = {
      "x-a": "1",
      "x-b": ["2", "3"],
      "x-c-bin": "AAE=",
      te: "gzip",
      ":path": "/other",
      "grpc-timeout": "1H",
      "grpc-previous-rpc-attempts": "9",
      connection: "x-a",
      "content-type": "text/plain",
      host: "evil",
    };
    const headers = requestHeaders("/a.B/C", "127.0.0.1:1", metadata, 250);
    const own = headers.slice(headers.indexOf("grpc-timeout"));
    expect(own).toEqual(["grpc-timeout", "250m", "x-a", "1", "x-b", "2", "x-b", "3", "x-c-bin", "AAE="]);
  });

  test.each([
    [{ "x-a": "1\r\nx-b: 2" }],
    [{ "x-a": "1\0x-b\0" }],
    [{ "x-a": "é" }],
    [{ "x a": "1" }],
    [{ "X-A": "1" }],
    [{ "x-a": ["fine", "not\n"] }],
  ])("refuse what HTTP/2 cannot carry: %j", (metadata) => {
    expect(() => requestHeaders("/a.B/C", "h", metadata, 1)).toThrow(
      expect.objectContaining({ code: Code.INVALID_ARGUMENT, reason: "MALFORMED_REQUEST" }),
    );
  });

  test.each(["/a.B/C\0x-a\x001", "/a.B/C d", "/a.B/Ç", "/a.B/C\r\n"])("refuse a path that HTTP/2 cannot carry: %j", (path) => {
    expect(() => requestHeaders(path, "h", {}, 1)).toThrow(expect.objectContaining({ code: Code.INVALID_ARGUMENT }));
  });

  test.each([
    [0.2, "1m"],
    [1, "1m"],
    [1_000.4, "1001m"],
    [99_999_999, "99999999m"],
    [100_000_000, "100000S"],
    [99_999_999_000, "99999999S"],
    [100_000_000_000, "1666667M"],
    [Number.MAX_VALUE, "99999999H"],
  ])("say %d ms as %s", (ms, text) => {
    expect(encodeTimeout(ms)).toBe(text);
  });

  test("have a timeout of at most eight digits that is never less than what is left", () => {
    const unitMs: Record<string, number> = { m: 1, S: 1_000, M: 60_000, H: 3_600_000 };
    fc.assert(
      fc.property(fc.double({ min: 0, max: 3e14, noNaN: true }), (ms) => {
        const [, digits, unit] = /^(\d{1,8})([mSMH])$/.exec(encodeTimeout(ms)) ?? [];
        expect(Number(digits) * (unitMs[unit ?? ""] ?? 0)).toBeGreaterThanOrEqual(ms);
      }),
    );
  });

  test("have no timeout for a call without deadline", () => {
    expect(requestHeaders("/a.B/C", "h", {}, Number.POSITIVE_INFINITY)).not.toContain("grpc-timeout");
  });
});

describe("answer headers", () => {
  test("become metadata: repeated names an array, gRPC's own left out but the details", () => {
    const raw = [
      ":status",
      "200",
      "content-type",
      "application/grpc",
      "x-a",
      "1",
      "x-a",
      "2",
      "x-a",
      "3",
      "grpc-status",
      "0",
      "grpc-status-details-bin",
      "AA",
      "__proto__",
      "p",
    ];
    const metadata = answerMetadata(raw);
    expect(Object.entries(metadata)).toEqual([
      ["x-a", ["1", "2", "3"]],
      ["grpc-status-details-bin", "AA"],
      ["__proto__", "p"],
    ]);
  });

  test.each([
    ["plain", "plain"],
    ["100%25", "100%"],
    ["%C3%BCnk %F0%9F%98%80", "ünk 😀"],
    ["bad %zz %C3%BC", "bad %zz ü"],
    ["%", "%"],
    ["%ff", "\ufffd"],
  ])("have a message that is percent-encoded: %s", (text, message) => {
    expect(decodeMessage(text)).toBe(message);
  });

  test.each([
    [400, Code.INTERNAL],
    [401, Code.UNAUTHENTICATED],
    [403, Code.PERMISSION_DENIED],
    [404, Code.UNIMPLEMENTED],
    [429, Code.UNAVAILABLE],
    [502, Code.UNAVAILABLE],
    [503, Code.UNAVAILABLE],
    [504, Code.UNAVAILABLE],
    [200, Code.UNKNOWN],
    [500, Code.UNKNOWN],
  ])("of HTTP status %d without grpc-status mean code %d", (status, code) => {
    expect(codeOfHttpStatus(status)).toBe(code);
  });

  test.each([
    ["application/grpc", true],
    ["application/grpc+proto", true],
    ["application/grpc;charset=utf-8", true],
    ["application/grpcfoo", false],
    ["application/json", false],
    [undefined, false],
  ])("of type %s are gRPC: %s", (type, is) => {
    expect(isGrpcContent(type)).toBe(is);
  });
});
