/** A value of which only the latest version counts. Those who follow it get the value that is known, then each change. */
export interface Latest<T> {
  /** The value, or undefined before the first one. */
  readonly value: T | undefined;
  /** Replaces the value. Followers are told unless `quiet`: then only who comes later sees it. */
  set(value: T, options?: { readonly quiet?: boolean }): void;
  /**
   * Gives the value that is known, then each change; a slow follower gets the latest and misses those between. Ends when
   * the signal aborts or the value is closed.
   */
  follow(signal: AbortSignal): AsyncIterable<T>;
  /** Ends all followers. */
  close(): void;
}

/** Builds a value that has none yet. */
export function createLatest<T>(): Latest<T> {
  let value: T | undefined;
  let version = 0;
  let closed = false;
  const waiting = new Set<() => void>();

  const wakeAll = (): void => {
    for (const wake of waiting) wake();
  };
  const nextChange = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });

  return {
    get value() {
      return value;
    },
    set(next, { quiet = false } = {}) {
      const first = version === 0;
      value = next;
      if (quiet && !first) return;
      version += 1;
      wakeAll();
    },
    async *follow(signal) {
      let seen = 0;
      while (!closed && !signal.aborted) {
        if (version === seen) await nextChange(signal);
        else {
          seen = version;
          yield value as T;
        }
      }
    },
    close() {
      closed = true;
      wakeAll();
    },
  };
}
