import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import { seededRandom } from "../base/random.ts";
import { resumeWatch } from "./resume-watch.ts";
import type { ResumedStep, ResumeWatchOptions } from "./resume-watch.ts";

interface Message {
  readonly text: string;
  readonly token: string;
}

/** A clock on which no time passes. It keeps what was asked for. */
function instantClock(): Clock & { readonly sleptMs: number[] } {
  const sleptMs: number[] = [];
  return {
    ...systemClock,
    sleptMs,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      sleptMs.push(ms);
    },
  };
}

/** A source with a snapshot of two, then changes 1 to `last`; each stream breaks after as many messages as `lengths` says. */
function sourceOf(
  last: number,
  lengths: readonly number[],
  error: () => unknown = () => new MeshError(Code.UNAVAILABLE, "gone"),
) {
  let stream = 0;
  const tokens: string[] = [];
  const signals: AbortSignal[] = [];
  const watch: ResumeWatchOptions<Message>["watch"] = async function* (token, signal) {
    tokens.push(token);
    signals.push(signal);
    let left = lengths[stream++] ?? Number.POSITIVE_INFINITY;
    const messages: Message[] = [];
    if (token === "")
      messages.push({ text: "existing a", token: "" }, { text: "existing b", token: "" }, { text: "end", token: "t0" });
    for (let n = Number(token.slice(1)) + 1; n <= last; n++) messages.push({ text: `change ${n}`, token: `t${n}` });
    for (const message of messages) {
      if (left-- <= 0) throw error();
      yield message;
    }
    await new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
  };
  return { watch, tokens, signals };
}

function told(step: ResumedStep<Message>): string {
  return step.kind === "begin" ? `begin ${step.why}` : step.message.text;
}

async function read(options: Omit<ResumeWatchOptions<Message>, "tokenOf">, until: string): Promise<readonly string[]> {
  const texts: string[] = [];
  for await (const step of resumeWatch({
    clock: instantClock(),
    random: seededRandom(1),
    ...options,
    tokenOf: ({ token }) => token,
  })) {
    texts.push(told(step));
    if (texts.at(-1) === until) break;
  }
  return texts;
}

const changes = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `change ${from + index}`);

test("goes on behind the last message, and begins anew where the snapshot broke", async () => {
  const source = sourceOf(5, [1, 4, 0, 2]);
  expect(await read(source, "change 5")).toEqual([
    "begin first",
    "existing a",
    "begin interrupted",
    "existing a",
    "existing b",
    "end",
    ...changes(1, 5),
  ]);
  expect(source.tokens).toEqual(["", "", "t1", "t1", "t3"]);
  for (const signal of source.signals) expect(signal.aborted).toBe(true);
});

test("wherever streams break, each change comes once and in order behind the last snapshot", async () => {
  const lengths = fc.array(fc.nat({ max: 8 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(lengths, async (breaks) => {
      const texts = await read(sourceOf(30, breaks), "change 30");
      const lastBegin = texts.findLastIndex((text) => text.startsWith("begin"));
      expect(texts.slice(lastBegin + 1)).toEqual(["existing a", "existing b", "end", ...changes(1, 30)]);
      expect(texts.slice(0, lastBegin).filter((text) => text.startsWith("change"))).toEqual([]);
    }),
  );
});

test("a token that was given is resumed, without a snapshot", async () => {
  const source = sourceOf(5, []);
  expect(await read({ ...source, resumeToken: "t3" }, "change 5")).toEqual(["change 4", "change 5"]);
});

test("a token that has expired begins a snapshot, and says so", async () => {
  const source = sourceOf(5, [0], () => new MeshError(Code.OUT_OF_RANGE, "too old", { reason: "RESUME_TOKEN_EXPIRED" }));
  expect(await read({ ...source, resumeToken: "t3" }, "end")).toEqual(["begin expired", "existing a", "existing b", "end"]);
  expect(source.tokens).toEqual(["t3", ""]);
});

test("waits longer from failure to failure, with full jitter, and anew after a message", async () => {
  const clock = instantClock();
  const failures: number[] = [];
  const source = sourceOf(1, [3, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
  const onFailure = (_: MeshError, waitMs: number): void => void failures.push(waitMs);
  const random = (): number => 1;
  const watching = resumeWatch({ ...source, tokenOf: ({ token }) => token, clock, random, onFailure });
  for await (const step of watching) if (told(step) === "change 1" && failures.length > 0) break;
  expect(clock.sleptMs).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  expect(failures).toEqual(clock.sleptMs);
});

test("a stream that ends well is taken up too", async () => {
  let streams = 0;
  const watch = async function* (token: string): AsyncGenerator<Message> {
    streams += 1;
    yield { text: `after ${token}`, token: `${token}x` };
  };
  expect(await read({ watch, resumeToken: "t" }, "after txx")).toEqual(["after t", "after tx", "after txx"]);
  expect(streams).toBe(3);
});

describe("what cannot heal", () => {
  test.each([
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "FAILED_PRECONDITION",
    "UNIMPLEMENTED",
    "DATA_LOSS",
    "UNAUTHENTICATED",
  ] as const)("%s is thrown", async (name) => {
    const error = new MeshError(Code[name], "no");
    await expect(
      read(
        sourceOf(1, [1], () => error),
        "never",
      ),
    ).rejects.toBe(error);
  });

  test("is a message that is too large, but not a limit that passes", async () => {
    const tooLarge = new MeshError(Code.RESOURCE_EXHAUSTED, "no", { reason: "TOO_LARGE" });
    await expect(
      read(
        sourceOf(1, [1], () => tooLarge),
        "never",
      ),
    ).rejects.toBe(tooLarge);
    const busy = new MeshError(Code.RESOURCE_EXHAUSTED, "slow down");
    expect(
      await read(
        sourceOf(1, [1], () => busy),
        "change 1",
      ),
    ).toContain("change 1");
  });

  test("is whatever is no error of a call", async () => {
    await expect(
      read(
        sourceOf(1, [1], () => new TypeError("a bug")),
        "never",
      ),
    ).rejects.toThrow(TypeError);
  });
});

test.each(["UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "DEADLINE_EXCEEDED", "ABORTED"] as const)(
  "%s is taken up",
  async (name) => {
    expect(
      await read(
        sourceOf(1, [3], () => new MeshError(Code[name], "again")),
        "change 1",
      ),
    ).toContain("change 1");
  },
);

test("silence ends a stream, and it is taken up", async () => {
  const source = sourceOf(2, []);
  const texts: string[] = [];
  let errors = 0;
  const watching = new AbortController();
  const onFailure = (): void => {
    errors += 1;
    if (errors === 3) watching.abort();
  };
  const limits = { silenceMs: 20, baseMs: 0 };
  const { signal } = watching;
  for await (const step of resumeWatch({ ...source, tokenOf: ({ token }) => token, limits, onFailure, signal })) {
    texts.push(told(step));
  }
  expect(texts.filter((text) => text.startsWith("change"))).toEqual(["change 1", "change 2"]);
  expect(errors).toBe(3);
});

test("the signal ends it without an error, in a wait as well as in a stream, and cancels the call", async () => {
  for (const lengths of [[], [3, 0, 0, 0, 0, 0, 0, 0]]) {
    const watching = new AbortController();
    const source = sourceOf(0, lengths);
    const steps = resumeWatch({ ...source, tokenOf: ({ token }) => token, signal: watching.signal, random: () => 1 });
    const texts: string[] = [];
    setTimeout(() => watching.abort(), 50);
    for await (const step of steps) texts.push(told(step));
    expect(texts).toEqual(["begin first", "existing a", "existing b", "end"]);
    for (const signal of source.signals) expect(signal.aborted).toBe(true);
  }
});
