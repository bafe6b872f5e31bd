import { isInstanceTopic, isServiceTopic, Topic } from "./topic.ts";
import { createWakeList } from "./wake-list.ts";

/**
 * One index that each change raises, the index of each topic's last change, and who waits for it. A service without any
 * instance is said to have changed when a service last lost its last instance: so its index never falls, and nothing is kept
 * about names that are gone.
 */
export interface TopicIndex {
  /** Index of the last change; it never falls. */
  readonly index: number;
  /** Index of a topic's last change, at least the one that it started with. */
  indexOf(topic: string): number;
  /** Raises the index for all topics that one change touches, and wakes who waits. `gone`: topics of services without instances. */
  commit(touched: ReadonlySet<string>, gone: ReadonlySet<string>): void;
  /** Calls back at the next change of a topic. The returned function gives up. */
  onceChanged(topic: string, waiter: () => void): () => void;
  /** How many wait. */
  readonly waiting: number;
}

/** Starts at `floor`: each topic is said to have changed there. */
export function createTopicIndex(floor: number): TopicIndex {
  const indexes = new Map<string, number>();
  const wakes = createWakeList();
  let index = floor;
  let extinctionIndex = floor;
  return {
    get index() {
      return index;
    },
    indexOf(topic) {
      if (!isServiceTopic(topic)) return indexes.get(topic) ?? floor;
      return Math.max(indexes.get(topic) ?? extinctionIndex, indexes.get(Topic.nodeChecks) ?? floor);
    },
    commit(touched, gone) {
      index += 1;
      for (const topic of touched) if (!isInstanceTopic(topic)) indexes.set(topic, index);
      for (const topic of gone) indexes.delete(topic);
      if (gone.size > 0) extinctionIndex = index;
      if (touched.has(Topic.nodeChecks)) wakes.wakeAll();
      else touched.forEach(wakes.wake);
    },
    onceChanged: wakes.add,
    get waiting() {
      return wakes.size;
    },
  };
}
