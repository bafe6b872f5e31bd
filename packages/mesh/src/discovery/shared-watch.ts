import type { Clock } from "../base/clock.ts";
import type { Latest } from "./latest.ts";
import { createLatest } from "./latest.ts";

/** One watch that several follow. It runs while somebody does, and a while longer. */
export interface SharedWatch<T> extends AsyncDisposable {
  /** Gives the value that is known, then each change, until the signal aborts or the watch is disposed. */
  follow(signal: AbortSignal): AsyncIterable<T>;
}

/** What createSharedWatch works with. */
export interface SharedWatchOptions<T> {
  /** Sets the value until the signal aborts. Must not reject. */
  run(latest: Latest<T>, signal: AbortSignal): Promise<void>;
  /** Called when nobody has followed for `lingerMs` and the watch has ended for good. */
  onIdle(): void;
  /** How long the watch outlives its last follower, in ms: who comes back gets the last value at once. */
  readonly lingerMs: number;
  readonly clock: Clock;
}

/** Starts the watch at once; whoever builds it is about to follow it. */
export function createSharedWatch<T>({ run, onIdle, lingerMs, clock }: SharedWatchOptions<T>): SharedWatch<T> {
  const latest = createLatest<T>();
  const lifetime = new AbortController();
  const running = run(latest, lifetime.signal);
  let followers = 0;
  let cancelLinger: (() => void) | undefined;

  const end = async (): Promise<void> => {
    cancelLinger?.();
    lifetime.abort(new Error("the watch has ended"));
    latest.close();
    await running;
  };

  return {
    async *follow(signal) {
      followers += 1;
      cancelLinger?.();
      try {
        yield* latest.follow(signal);
      } finally {
        followers -= 1;
        if (followers === 0 && !lifetime.signal.aborted) {
          cancelLinger = clock.after(lingerMs, () => {
            onIdle();
            void end();
          });
        }
      }
    },
    [Symbol.asyncDispose]: end,
  };
}
