import { expect, test } from "vitest";
import { createLogRecorder } from "./log-recorder.ts";

test("lines are kept with their level and fields, those of child loggers with what they are bound to", () => {
  const { logger, lines } = createLogRecorder();
  logger.info({ a: 1 }, "first");
  const child = logger.child({ service: "user" });
  child.child({ method: "m" }).error({ a: 2, err: "e" }, "second");
  child.debug({}, "third");
  expect(lines).toEqual([
    { a: 1, level: "info", message: "first" },
    { service: "user", method: "m", a: 2, err: "e", level: "error", message: "second" },
    { service: "user", level: "debug", message: "third" },
  ]);
  lines.length = 0;
  logger.warn({}, "fourth");
  expect(lines).toEqual([{ level: "warn", message: "fourth" }]);
});
