/** Calls back everyone who waits for a topic. A waiter is called once, and then no longer waits. */
export interface WakeList {
  /** Waits for the next wake of a topic. The returned function gives up. */
  add(topic: string, waiter: () => void): () => void;
  wake(topic: string): void;
  wakeAll(): void;
  /** How many wait. */
  readonly size: number;
}

/** A list on which nobody waits. */
export function createWakeList(): WakeList {
  const topics = new Map<string, Set<() => void>>();
  let size = 0;
  const wake = (topic: string): void => {
    const waiters = topics.get(topic);
    if (waiters === undefined) return;
    topics.delete(topic);
    size -= waiters.size;
    for (const waiter of waiters) waiter();
  };
  return {
    add(topic, waiter) {
      const waiters = topics.get(topic) ?? new Set();
      topics.set(topic, waiters.add(waiter));
      size += 1;
      return () => {
        if (!waiters.delete(waiter) || topics.get(topic) !== waiters) return;
        size -= 1;
        if (waiters.size === 0) topics.delete(topic);
      };
    },
    wake,
    wakeAll: () => [...topics.keys()].forEach(wake),
    get size() {
      return size;
    },
  };
}
