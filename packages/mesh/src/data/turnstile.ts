import type { Clock } from "../base/clock.ts";

/** Lets one in at a time, in the order of arrival. */
export interface Turnstile {
  /** Resolves when it is the caller's turn; rejects with `tooLate()` after `waitMs`. Each turn ends with `leave`. */
  enter(): Promise<void> | void;
  leave(): void;
}

/** A turnstile whose queue has a limit in time. */
export function createTurnstile(clock: Clock, options: { readonly waitMs: number; readonly tooLate: () => Error }): Turnstile {
  const queue = new Set<() => void>();
  let taken = false;
  return {
    enter() {
      if (!taken) {
        taken = true;
        return undefined;
      }
      return new Promise<void>((resolve, reject) => {
        const stop = clock.after(options.waitMs, () => {
          queue.delete(next);
          reject(options.tooLate());
        });
        const next = (): void => {
          stop();
          resolve();
        };
        queue.add(next);
      });
    },
    leave() {
      const [next] = queue;
      if (next === undefined) taken = false;
      else {
        queue.delete(next);
        next();
      }
    },
  };
}
