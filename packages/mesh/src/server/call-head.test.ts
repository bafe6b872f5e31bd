import { describe, expect, test } from "vitest";
import { CallHead, parseRequestId, parseTimeoutMs, parseTraceparent } from "./call-head.ts";

describe("grpc-timeout", () => {
  test.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["5S", 5_000],
    ["250m", 250],
    ["1500u", 1.5],
    ["1n", 1e-6],
    ["0S", 0],
    // Beyond 2^31 ms, where grpc-js' own timer wraps around and fires at once.
    ["597H", 597 * 3_600_000],
    ["2147484S", 2_147_484_000],
    ["99999999H", 99_999_999 * 3_600_000],
  ])("%s is %d ms", (text, ms) => expect(parseTimeoutMs(text)).toBeCloseTo(ms, 9));

  test.each(["x5S", "-5S", "5", "S", "", "5s", "5 S", "100000000S", "5S,6S", "1e3S", "+5S", "0x5S", "５S"])(
    "%j is refused",
    (text) => expect(() => parseTimeoutMs(text)).toThrow(expect.objectContaining({ code: 3, reason: "MALFORMED_REQUEST" })),
  );
});

describe("x-request-id", () => {
  test.each(["a", "01a20cac-0af2-7637-af43-a621e5826b3d", "!~", "x".repeat(128)])("%s is kept", (id) =>
    expect(parseRequestId(id)).toBe(id),
  );
  test.each(["", "x".repeat(129), "a b", "a\tb", "é", "a\r\nb"])("%j is replaced", (id) =>
    expect(parseRequestId(id)).toBeUndefined(),
  );
});

describe("traceparent", () => {
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const span = "00f067aa0ba902b7";
  test.each([`00-${trace}-${span}-01`, `00-${trace}-${span}-00`, `cc-${trace}-${span}-01-later`, `cc-${trace}-${span}-01`])(
    "%s is kept",
    (text) => expect(parseTraceparent(text)).toBe(text),
  );
  test.each([
    "",
    `ff-${trace}-${span}-01`,
    `00-${"0".repeat(32)}-${span}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    `00-${trace}-${span}-01-later`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${trace}-${span}`,
    `00-${trace}-${span}-01 `,
    `cc-${trace}-${span}-01-${"x".repeat(257)}`,
  ])("%j is left out", (text) => expect(parseTraceparent(text)).toBeUndefined());
});

describe("the head of a call", () => {
  test("holds the caller's metadata without the headers of HTTP/2 and gRPC", () => {
    const { metadata, timeout } = new CallHead(
      {
        ":path": "/a.B/C",
        ":authority": "x",
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-timeout": "1S",
        "grpc-encoding": "gzip",
        "user-agent": "me",
        "x-many": "a, b",
        "x-one-bin": "AAE=",
        "x-two-bin": "AAE=, AgM",
        ["__proto__"]: "polluted",
      },
      "127.0.0.1:1",
    );
    expect({ ...metadata }).toEqual({
      "user-agent": "me",
      "x-many": "a, b",
      "x-one-bin": "AAE=",
      "x-two-bin": ["AAE=", "AgM"],
      ["__proto__"]: "polluted",
    });
    expect(timeout).toBe("1S");
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("counts its bytes as HTTP/2 does, those of a name that comes several times too", () => {
    expect(new CallHead({ ab: "cde", f: "" }, "p").bytes).toBe(2 + 3 + 32 + 1 + 32);
    expect(new CallHead({ "set-cookie": ["x".repeat(1_000), "y".repeat(1_000)] }, "p").bytes).toBeGreaterThan(2_000);
  });

  test("makes a request id where there is none, and counts attempts", () => {
    const first = new CallHead({}, "p");
    const second = new CallHead({ "x-request-id": "bad id", "grpc-previous-rpc-attempts": "2" }, "p");
    expect(first.requestId).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/);
    expect(second.requestId).not.toBe("bad id");
    expect([first.attempt, second.attempt]).toEqual([1, 3]);
    expect(new CallHead({ "grpc-previous-rpc-attempts": "-1e9" }, "p").attempt).toBe(1);
  });
});
