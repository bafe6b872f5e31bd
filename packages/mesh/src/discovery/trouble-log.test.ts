import { createFakeClock } from "@protoloom/testing";
import { expect, test } from "vitest";
import type { Logger } from "../base/logger.ts";
import { createTroubleLog } from "./trouble-log.ts";

test("a registry that fails 100 times a second is one line in 10 s, with the count, and one when it answers again", async () => {
  const lines: object[] = [];
  const add = (fields: object, message: string): void => void lines.push({ ...fields, message });
  const logger: Logger = { debug: add, info: add, warn: add, error: add, child: () => logger };
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
    { cause: "refused", failures: 1, message: "the registry fails" },
    { cause: "refused", failures: 1_000, message: "the registry fails" },
    { message: "the registry answers again" },
  ]);
});
