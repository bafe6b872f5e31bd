import { UserService } from "@protoloom/contracts";
import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { implement } from "@protoloom/mesh";
import { expect, test } from "vitest";
import { callError } from "./call-error.ts";
import { eventually } from "./eventually.ts";
import { observeStreams } from "./observe-streams.ts";
import { serveLocally } from "./serve-locally.ts";

const { count, chat } = FixtureService.definition;
const fixture = implement(FixtureService, createFixtureService({ instance: () => "local" }));

test("it counts what the handlers of its method give out, and of no other", async () => {
  const counts = observeStreams(count);
  expect(counts).toMatchObject({ openCount: 0, messageCount: 0, byteCount: 0, endedAtMs: undefined });
  await using local = await serveLocally(counts.wrap([fixture]));
  const client = local.mesh.client(FixtureService);
  const answers = await readAll(client.count({ count: 3, padBytes: 1_000 }));
  await readAll(client.chat([{ text: "not counted" }]));
  await client.echo({});
  expect(answers).toHaveLength(3);
  await eventually(() => counts.openCount === 0);
  expect(counts.messageCount).toBe(3);
  expect(counts.byteCount).toBe(answers.reduce((sum, answer) => sum + count.responseSerialize(answer).length, 0));
});

test("it counts the handlers that are open, and notes when the last one ended", async () => {
  const chats = observeStreams(chat);
  await using local = await serveLocally(chats.wrap([fixture]));
  const client = local.mesh.client(FixtureService);
  const leaving = [new AbortController(), new AbortController()];
  const streams = leaving.map(({ signal }) => client.chat(endless(), { signal })[Symbol.asyncIterator]());
  for (const stream of streams) await stream.next();
  expect(chats).toMatchObject({ openCount: 2, endedAtMs: undefined });
  for (const [index, stream] of streams.entries()) {
    const leftAtMs = performance.now();
    leaving[index]?.abort();
    expect(await callError(readOn(stream))).toMatchObject({ code: 1 });
    await eventually(() => chats.openCount === 1 - index, { intervalMs: 1 });
    expect(chats.endedAtMs).toBeGreaterThanOrEqual(leftAtMs);
    expect(chats.endedAtMs).toBeLessThanOrEqual(performance.now());
  }
});

test("it notes the end of a handler that fails, whose error the caller gets", async () => {
  const counts = observeStreams(count);
  await using local = await serveLocally(counts.wrap([fixture]));
  const failing = readAll(local.mesh.client(FixtureService).count({ count: 1, code: 9 }));
  expect(await callError(failing)).toMatchObject({ code: 9 });
  expect(counts).toMatchObject({ openCount: 0, messageCount: 1 });
  expect(counts.endedAtMs).toBeDefined();
});

test("what is wrapped stays as it is beside the method, and the services without it are refused", () => {
  const [wrapped] = observeStreams(count).wrap([fixture]);
  expect(wrapped?.service).toBe(fixture.service);
  expect(wrapped?.methods.filter((method, index) => method !== fixture.methods[index]).map(({ path }) => path)).toEqual([
    count.path,
  ]);
  const watches = observeStreams(UserService.definition.watchUsers);
  expect(() => watches.wrap([fixture])).toThrow("none of these services has /user.v1.UserService/WatchUsers");
  // @ts-expect-error: its answer is no stream
  void (() => observeStreams(FixtureService.definition.echo));
});

/** Requests until the stream ends. */
async function* endless(): AsyncGenerator<{ text: string }> {
  for (;;) {
    yield { text: "more" };
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function readAll<Message>(messages: AsyncIterable<Message>): Promise<readonly Message[]> {
  const all: Message[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

async function readOn(stream: AsyncIterator<unknown>): Promise<void> {
  while ((await stream.next()).done !== true);
}
