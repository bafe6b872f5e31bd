import type { Clock } from "./clock.ts";

/** How long work that finds everything ready may go on before the process looks at its sockets and timers again, in ms. */
export const maxTurnMs = 5;

/**
 * Shares a process among its streams. Whoever has always something to read and room to write never waits for anything but
 * promises, and a loop of promises lets no socket and no timer in: 20 such streams held up every other call for half a
 * second. With a budget all of them together work for 5 ms, and then wait for the next turn of the event loop.
 */
export interface TurnBudget {
  /** Asked after each message: undefined while the turn may go on, else a promise of the next. */
  spent(): Promise<void> | undefined;
}

/** A budget for everything that asks it. */
export function createTurnBudget(clock: Clock): TurnBudget {
  let startedMs: number | undefined;
  let nextTurn: Promise<void> | undefined;
  const begin = (): void => {
    startedMs = undefined;
    nextTurn = undefined;
  };
  return {
    spent() {
      if (startedMs === undefined) {
        startedMs = clock.monotonicMs();
        setImmediate(begin);
        return undefined;
      }
      if (clock.monotonicMs() - startedMs < maxTurnMs) return undefined;
      // Immediates run in their order: the one that begins a turn was set before.
      return (nextTurn ??= new Promise((resolve) => setImmediate(resolve)));
    },
  };
}
