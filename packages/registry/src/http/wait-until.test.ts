import { createFakeClock } from "@protoloom/testing";
import { describe, expect, test } from "vitest";
import { createTopicIndex } from "../state/topic-index.ts";
import { waitUntil } from "./wait-until.ts";

function setUp({ random = 0 } = {}): {
  advance: (ms: number) => Promise<void>;
  commit: (topic: string) => void;
  waiting: () => number;
  wait: (isDue: () => boolean, signal?: AbortSignal) => { ended: boolean };
} {
  const clock = createFakeClock();
  const topics = createTopicIndex(1);
  return {
    advance: async (ms) => await clock.advance(ms),
    commit: (topic) => topics.commit(new Set([topic]), new Set()),
    waiting: () => topics.waiting,
    wait(isDue, signal = new AbortController().signal) {
      const state = { ended: false };
      void waitUntil({ catalog: topics, clock, random: () => random }, { topic: "checks", isDue, waitMs: 16_000, signal }).then(
        () => (state.ended = true),
      );
      return state;
    },
  };
}

describe("a wait", () => {
  test("is over at once when something is due", async () => {
    const { wait, advance, waiting } = setUp();
    const state = wait(() => true);
    await advance(0);
    expect([state.ended, waiting()]).toEqual([true, 0]);
  });

  test.each([
    [0, 16_000],
    [0.5, 16_500],
    [0.999, 16_999],
  ])("ends after its time and, by chance %d, up to a sixteenth more", async (random, expectedMs) => {
    const { wait, advance, waiting } = setUp({ random });
    const state = wait(() => false);
    await advance(expectedMs - 1);
    expect(state.ended).toBe(false);
    await advance(1);
    expect([state.ended, waiting()]).toEqual([true, 0]);
  });

  test("goes on after a change of its topic that is not what it waits for", async () => {
    const { wait, advance, commit, waiting } = setUp();
    let due = false;
    const state = wait(() => due);
    commit("checks");
    await advance(0);
    expect([state.ended, waiting()]).toEqual([false, 1]);
    due = true;
    commit("services");
    await advance(0);
    expect(state.ended).toBe(false);
    commit("checks");
    await advance(0);
    expect([state.ended, waiting()]).toEqual([true, 0]);
  });

  test("ends with its signal, and nobody waits any more", async () => {
    const { wait, advance, waiting } = setUp();
    const gone = new AbortController();
    const state = wait(() => false, gone.signal);
    gone.abort();
    await advance(0);
    expect([state.ended, waiting()]).toEqual([true, 0]);
  });
});
