import type { Clock, Random } from "@protoloom/mesh/process";
import type { Catalog } from "../state/catalog.ts";

/** What a wait is made with. */
export interface WaitDeps {
  readonly catalog: Pick<Catalog, "onceChanged">;
  readonly clock: Clock;
  readonly random: Random;
}

/** A wait of a blocking read. */
export interface Wait {
  readonly topic: string;
  /** True: there is something to answer. Asked at once, and after each change of the topic. */
  readonly isDue: () => boolean;
  /** Longest wait; up to a sixteenth is added by chance, so that readers do not come back all at once. */
  readonly waitMs: number;
  /** Ends the wait early. */
  readonly signal: AbortSignal;
}

/** Waits until something is due, the time is over or the signal aborts. Never rejects: the caller answers with what is known. */
export async function waitUntil({ catalog, clock, random }: WaitDeps, { topic, isDue, waitMs, signal }: Wait): Promise<void> {
  if (isDue() || signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = (): void => {
      stopTimer();
      stopWaiting();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const onChange = (): void => {
      if (isDue()) end();
      else stopWaiting = catalog.onceChanged(topic, onChange);
    };
    const stopTimer = clock.after(waitMs + random() * (waitMs / 16), end);
    let stopWaiting = catalog.onceChanged(topic, onChange);
    signal.addEventListener("abort", end, { once: true });
  });
}
