import { type Clock, type Handlers, systemClock } from "@protoloom/mesh";
import type { GreeterService } from "./gen/index.ts";

/** The handlers of greeter.v1.GreeterService. What was counted is gone with the process. */
export function createGreeter(clock: Clock = systemClock): Handlers<(typeof GreeterService)["definition"]> {
  const counts = new Map<string, number>();
  const greet = (name: string): string => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    return `Hello, ${name}!`;
  };
  return {
    greet: ({ name }) => ({ text: greet(name) }),
    async *countDown({ name, steps, intervalMs }, { signal }) {
      for (let left = steps; left > 0; left -= 1) {
        yield { said: { $case: "left", value: left } };
        await clock.sleep(intervalMs, signal);
      }
      yield { said: { $case: "text", value: greet(name) } };
    },
    countGreetings: () => ({ counts: Object.fromEntries(counts) }),
  };
}
