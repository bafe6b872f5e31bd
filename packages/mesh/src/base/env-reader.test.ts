import { expect, test } from "vitest";
import { createEnvReader } from "./env-reader.ts";

test("a value is read, and an empty one is none", () => {
  const reader = createEnvReader({ A: "x", B: "", PORT: "8080", LEVEL: "warn" });
  expect(reader.text("A", "y")).toBe("x");
  expect(reader.text("B", "y")).toBe("y");
  expect(reader.optionalText("B")).toBeUndefined();
  expect(reader.port("PORT", 0)).toBe(8080);
  expect(reader.port("OTHER", 5)).toBe(5);
  expect(reader.choice("LEVEL", "info", ["info", "warn"])).toBe("warn");
  expect(() => reader.finish()).not.toThrow();
});

test.each([
  ["127.0.0.1:8500", "http://127.0.0.1:8500"],
  ["http://consul.test:8500/", "http://consul.test:8500"],
  ["https://consul.test", "https://consul.test"],
])("the URL %s is %s", (given, expected) => {
  const reader = createEnvReader({ URL: given });
  expect(reader.url("URL", "http://127.0.0.1:1")).toBe(expected);
  reader.finish();
});

test("all problems come in one error, each with name, value and what is allowed", () => {
  const reader = createEnvReader({ A: "ten", B: "99999", C: "1.5", D: "loud", E: "ftp://x", F: "http://" });
  reader.integer("A", 1, { min: 0, max: 10 });
  reader.port("B", 0);
  reader.integer("C", 1, { min: 0, max: 10 });
  reader.choice("D", "info", ["info", "warn"]);
  reader.url("E", "http://127.0.0.1:1");
  reader.url("F", "http://127.0.0.1:1");
  reader.problem("A and B do not go together");
  let message = "";
  try {
    reader.finish();
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message.split("\n")).toEqual([
    "the configuration has 7 problem(s):",
    '  A is "ten", which is no whole number from 0 to 10',
    '  B is "99999", which is no whole number from 0 to 65535',
    '  C is "1.5", which is no whole number from 0 to 10',
    '  D is "loud", which is none of info, warn',
    '  E is "ftp://x", which is no http or https URL',
    '  F is "http://", which is no http or https URL',
    "  A and B do not go together",
  ]);
});
