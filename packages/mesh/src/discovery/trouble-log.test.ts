import { createFakeClock, createLogRecorder } from "@protoloom/testing";
import { expect, test } from "vitest";
import { createTroubleLog } from "./trouble-log.ts";

test("a registry that fails 100 times a second is one line in 10 s, with the count, and one when it answers again", async () => {
  const { logger, lines } = createLogRecorder();
  const clock = createFakeClock();
  const log = createTroubleLog(logger, clock);
  log.calm();
  for (let i = 0; i < 1_500; i += 1) {
    log.trouble(new Error("refused"), "the registry fails");
    await clock.advance(10);
  }
  log.calm();
  log.calm();
  expect(lines).toEqual([
    { cause: "refused", failures: 1, level: "warn", message: "the registry fails" },
    { cause: "refused", failures: 1_000, level: "warn", message: "the registry fails" },
    { level: "info", message: "the registry answers again" },
  ]);
});
