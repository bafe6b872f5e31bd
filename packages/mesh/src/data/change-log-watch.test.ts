import { expect, test } from "vitest";
import { sqlitePlace } from "../../../../tools/databases.ts";
import { silentLogger } from "../base/logger.ts";
import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import { createChangeLog } from "./change-log.ts";
import type { ChangeLog } from "./change-log.ts";
import { watchChanges } from "./change-log-watch.ts";
import type { WatchOptions, WatchStep } from "./change-log-watch.ts";
import { openDatabase } from "./database.ts";
import type { Database } from "./database.ts";

/** A clock that a test turns for `after` alone: the database and its log go on in real time. */
function createTurnedClock(): Clock & { turn(ms: number): void } {
  let nowMs = 0;
  const alarms = new Map<() => void, number>();
  return {
    ...systemClock,
    monotonicMs: () => nowMs,
    after(ms, callback) {
      alarms.set(callback, nowMs + ms);
      return () => void alarms.delete(callback);
    },
    turn(ms) {
      nowMs += ms;
      for (const [callback, atMs] of alarms) {
        if (atMs > nowMs) continue;
        alarms.delete(callback);
        callback();
      }
    },
  };
}

interface Rig {
  readonly log: ChangeLog<object>;
  append(type: string, aggregateType?: string): Promise<void>;
  watch(resumeToken: string, more?: Partial<WatchOptions<object>>): AsyncGenerator<WatchStep>;
}

async function openRig(resources: AsyncDisposableStack): Promise<Rig> {
  const place = resources.use(sqlitePlace("watch"));
  const database: Database<object> = resources.use(
    await openDatabase<object>({ ...place, migrations: {}, logger: silentLogger }),
  );
  const log = resources.use(await createChangeLog(database, { domain: "user.v1", logger: silentLogger }));
  let version = 0;
  const signal = AbortSignal.timeout(10_000);
  return {
    log,
    async append(type, aggregateType = "test.Item") {
      version += 1;
      const change = { type, aggregateType, aggregateId: "a", aggregateVersion: version, payload: Buffer.from(type) };
      await database.transaction(async (trx) => await log.append(trx, change));
    },
    watch: (resumeToken, more = {}) =>
      watchChanges(log, { resumeToken, aggregateType: "test.Item", snapshot: twoRows, signal, clock: systemClock, ...more }),
  };
}

async function* twoRows(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("one");
  yield Buffer.from("two");
}

/** What a step tells, in short. */
function told(step: WatchStep | undefined): string {
  switch (step?.kind) {
    case "existing":
      return `existing ${Buffer.from(step.row).toString()}`;
    case "change":
      return `${step.change.type} ${step.change.pos}`;
    default:
      return step?.kind ?? "end";
  }
}

async function next(watch: AsyncGenerator<WatchStep>, count = 1): Promise<readonly string[]> {
  const texts: string[] = [];
  while (texts.length < count) texts.push(told((await watch.next()).value as WatchStep | undefined));
  return texts;
}

test("begins with the snapshot, goes on with the changes of its type, and resumes behind each token", async () => {
  await using resources = new AsyncDisposableStack();
  const rig = await openRig(resources);
  await rig.append("before");
  const watch = rig.watch("");
  expect(await next(watch, 2)).toEqual(["existing one", "existing two"]);
  const end = (await watch.next()).value as WatchStep & { resumeToken: string };
  expect(end.kind).toBe("snapshotEnd");
  await rig.append("created");
  await rig.append("noise", "test.Other");
  await rig.append("updated");
  const created = (await watch.next()).value as WatchStep & { resumeToken: string };
  expect([told(created), ...(await next(watch))]).toEqual(["created 2", "updated 4"]);
  await watch.return(undefined);
  expect(await next(rig.watch(end.resumeToken), 2)).toEqual(["created 2", "updated 4"]);
  expect(await next(rig.watch(created.resumeToken))).toEqual(["updated 4"]);
});

test("a heartbeat comes after 15 s of silence, and its token has passed over changes of other types", async () => {
  await using resources = new AsyncDisposableStack();
  const rig = await openRig(resources);
  const clock = createTurnedClock();
  const watch = rig.watch("", { clock });
  await next(watch, 3);
  let step = watch.next();
  const settled = (): Promise<boolean> => Promise.race([step.then(() => true), systemClock.sleep(50).then(() => false)]);
  expect(await settled()).toBe(false);
  await rig.append("noise", "test.Other");
  expect(await settled()).toBe(false);
  clock.turn(14_999);
  expect(await settled()).toBe(false);
  clock.turn(1);
  const heartbeat = (await step).value as WatchStep & { resumeToken: string };
  expect(heartbeat.kind).toBe("heartbeat");
  expect(await rig.log.fromResumeToken(heartbeat.resumeToken)).toMatchObject({ pos: 1 });
  step = watch.next();
  clock.turn(14_000);
  await rig.append("created");
  expect(told((await step).value as WatchStep)).toBe("created 2");
  step = watch.next();
  clock.turn(14_999);
  expect(await settled()).toBe(false);
  clock.turn(1);
  expect(told((await step).value as WatchStep)).toBe("heartbeat");
  await watch.return(undefined);
  expect(rig.log.followers).toBe(0);
});

test("a signal ends it with its reason, in the snapshot as well as between changes", async () => {
  await using resources = new AsyncDisposableStack();
  const rig = await openRig(resources);
  const reason = new Error("enough");
  const controller = new AbortController();
  const watch = rig.watch("", { signal: controller.signal });
  await next(watch, 3);
  const waiting = watch.next();
  setImmediate(() => controller.abort(reason));
  await expect(waiting).rejects.toBe(reason);
  expect(rig.log.followers).toBe(0);
  await expect(rig.watch("", { signal: controller.signal }).next()).rejects.toBe(reason);
});
