import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { createLineFormatter } from "./log-lines.ts";

const plain = createLineFormatter("user", 0, { format: "pretty", color: false, nameWidth: 8 });
const time = new Date(2026, 0, 2, 3, 4, 5, 67).getTime();

test("a line of pino becomes time, level, message and fields", () => {
  const line = JSON.stringify({
    level: 30,
    time,
    pid: 1,
    hostname: "h",
    name: "user",
    msg: "call",
    method: "user.v1.UserService/GetUser",
    ms: 1.5,
    note: "a b",
  });
  expect(plain(line)).toBe(`user     | 03:04:05.067 INFO  call method=user.v1.UserService/GetUser ms=1.5 note="a b"`);
});

test("a level by name and a time as text are understood", () => {
  expect(plain(JSON.stringify({ level: "warn", time: new Date(time).toISOString(), msg: "m" }))).toBe(
    "user     | 03:04:05.067 WARN  m",
  );
});

test("the stack of an error follows, indented", () => {
  const line = plain(
    JSON.stringify({ level: 50, time, msg: "failed", err: { type: "Error", message: "m", stack: "Error: m\n at x" } }),
  );
  expect(line).toBe("user     | 03:04:05.067 ERROR failed\n    Error: m\n     at x");
});

test.for(["Listening", "{half", "{}", "[1]", '{"a":1}', ""])("%j is no line of pino and stays as it is", (line) => {
  expect(plain(line)).toBe(`user     | ${line}`);
});

test("json leaves the line alone", () => {
  const json = createLineFormatter("user", 0, { format: "json", color: true, nameWidth: 8 });
  expect(json('{"level":30}')).toBe('{"level":30}');
});

test("colours are escape sequences around the same text", () => {
  const line = JSON.stringify({ level: 30, time, msg: "m", a: 1 });
  const colored = createLineFormatter("user", 0, { format: "pretty", color: true, nameWidth: 8 })(line);
  expect(colored).not.toBe(plain(line));
  expect(stripVTControlCharacters(colored)).toBe(plain(line));
});
