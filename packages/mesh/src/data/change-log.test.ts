import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../../tools/databases.ts";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { seededRandom } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import { logStart } from "./change.ts";
import type { Change, LogPosition } from "./change.ts";
import { createChangeLog } from "./change-log.ts";
import type { ChangeLog } from "./change-log.ts";
import { openDatabase } from "./database.ts";
import type { Database } from "./database.ts";
import { meshReader } from "./mesh-tables.ts";
import type { Migrations } from "./migration.ts";
import { newId } from "./new-id.ts";

interface Tables {
  readonly item: { readonly id: string; readonly n: number };
}

const migrations: Migrations = {
  "0001_item": async (db, { text }) => {
    await db.schema
      .createTable("item")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .addColumn("n", "bigint", (column) => column.notNull())
      .execute();
  },
};

/** One instance of a service: its connections to the database and its change log. */
interface Instance extends AsyncDisposable {
  readonly database: Database<Tables>;
  readonly log: ChangeLog<Tables>;
}

async function openInstance(place: DatabasePlace, clock: Clock = systemClock): Promise<Instance> {
  const database = await openDatabase<Tables>({ ...place, migrations, logger: silentLogger });
  const log = await createChangeLog(database, { domain: "user.v1", logger: silentLogger, clock });
  return {
    database,
    log,
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

const valueOf = (n: number): Uint8Array => Buffer.from(String(n));

/** Adds one to an item, or makes it, and tells the log. What happens between the statements is the caller's. */
async function bump({ database, log }: Instance, id: string, between?: () => Promise<unknown>): Promise<void> {
  await database.transaction(async (trx) => {
    await between?.();
    const row = await trx
      .insertInto("item")
      .values({ id, n: 1 })
      .onConflict((conflict) => conflict.column("id").doUpdateSet((row) => ({ n: row("item.n", "+", 1) })))
      .returning("n")
      .executeTakeFirstOrThrow();
    await between?.();
    await log.append(trx, changeOf(id, row.n));
    await between?.();
  });
}

function changeOf(id: string, n: number): Parameters<ChangeLog<Tables>["append"]>[1] {
  return { type: "updated", aggregateType: "test.Item", aggregateId: id, aggregateVersion: n, payload: valueOf(n) };
}

/** Reads `count` changes, and fails when they do not come within a time. */
async function take(log: ChangeLog<Tables>, after: LogPosition, count: number, timeoutMs = 20_000): Promise<readonly Change[]> {
  const taken: Change[] = [];
  for await (const changes of log.follow(after, AbortSignal.timeout(timeoutMs))) {
    taken.push(...changes);
    if (taken.length >= count) break;
  }
  return taken;
}

/** Throws unless the versions of each item rise by one from 1, or from what a snapshot has. */
function applyInOrder(changes: readonly Change[], state = new Map<string, number>()): ReadonlyMap<string, number> {
  for (const { aggregateId, aggregateVersion } of changes) {
    const before = state.get(aggregateId) ?? 0;
    if (aggregateVersion !== before + 1) throw new Error(`${aggregateId} goes from ${before} to ${aggregateVersion}`);
    state.set(aggregateId, aggregateVersion);
  }
  return state;
}

async function stateOf(database: Database<Tables>): Promise<ReadonlyMap<string, number>> {
  return new Map((await database.read.selectFrom("item").selectAll().execute()).map(({ id, n }) => [id, n]));
}

/** The items of a snapshot, read a few at a time. */
async function* readItems(view: Database<Tables>["read"], pageSize = 5): AsyncGenerator<Uint8Array> {
  for (let last = ""; ;) {
    const rows = await view.selectFrom("item").selectAll().where("id", ">", last).orderBy("id").limit(pageSize).execute();
    for (const { id, n } of rows) yield Buffer.from(JSON.stringify([id, n]));
    if (rows.length < pageSize) return;
    last = rows.at(-1)?.id ?? "";
  }
}

async function snapshotOf(log: ChangeLog<Tables>): Promise<{ state: Map<string, number>; position: LogPosition }> {
  await using snapshot = await log.snapshot(readItems, AbortSignal.timeout(10_000));
  const state = new Map<string, number>();
  for await (const row of snapshot.rows()) {
    const [id, n] = JSON.parse(Buffer.from(row).toString()) as [string, number];
    state.set(id, n);
  }
  return { state, position: snapshot.position };
}

/** `writers` at once, each with its share of `count` changes of a few items; chance decides who dawdles where. */
async function write(
  instances: readonly Instance[],
  { writers, count, random }: { writers: number; count: number; random: Random },
): Promise<void> {
  const dawdle = async (): Promise<void> => (random() < 0.3 ? await systemClock.sleep(random() * 3) : undefined);
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      const instance = instances[writer % instances.length] as Instance;
      const slow = instance.database.engine === "postgres" ? dawdle : undefined;
      for (let index = 0; index < count / writers; index++) await bump(instance, `item-${Math.floor(random() * 20)}`, slow);
    }),
  );
}

describeOnEachEngine("the change log", (newPlace) => {
  let place: DatabasePlace;
  let instance: Instance;

  beforeAll(async () => {
    place = newPlace("log");
    instance = await openInstance(place);
  });
  afterAll(async () => {
    await instance[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });
  /** A log of its own for a test that counts positions. */
  const fresh = async (resources: AsyncDisposableStack, clock?: Clock): Promise<Instance> =>
    resources.use(await openInstance(resources.use(newPlace("log")), clock));

  test("gives what was appended, with positions from 1 without a gap, and nothing of a transaction that failed", async () => {
    await using resources = new AsyncDisposableStack();
    const { database, log } = await fresh(resources);
    await database.transaction(async (trx) => {
      await log.append(trx, changeOf("a", 1), { ...changeOf("b", 1), payload: new Uint8Array() });
      await log.append(trx);
    });
    const failing = database.transaction(async (trx) => {
      await log.append(trx, changeOf("a", 2));
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    await database.transaction(async (trx) => await log.append(trx, changeOf("b", 2)));
    const changes = await take(log, logStart, 3);
    expect(changes.map(({ pos, aggregateId, aggregateVersion }) => [pos, aggregateId, aggregateVersion])).toEqual([
      [1, "a", 1],
      [2, "b", 1],
      [3, "b", 2],
    ]);
    expect(changes.map(({ payload }) => Buffer.from(payload).toString())).toEqual(["1", "", "2"]);
    expect(changes[0]).toMatchObject({ type: "updated", aggregateType: "test.Item", trace: undefined });
    expect(changes[0]?.atMs).toBeGreaterThan(Date.now() - 60_000);
    expect(new Set(changes.map(({ eventId }) => eventId)).size).toBe(3);
    expect(await log.floor()).toBe(1);
  });

  test("a follower waits for more and has it at once; leaving it frees it", async () => {
    await using resources = new AsyncDisposableStack();
    const own = await fresh(resources);
    const following = own.log.follow(logStart, AbortSignal.timeout(10_000))[Symbol.asyncIterator]();
    for (let n = 1; n <= 20; n++) {
      const next = following.next();
      await bump(own, "waited-for");
      const startedMs = performance.now();
      expect(applyInOrder((await next).value as readonly Change[], new Map([["waited-for", n - 1]])).get("waited-for")).toBe(n);
      expect(performance.now() - startedMs).toBeLessThan(150);
    }
    expect(own.log.followers).toBe(1);
    await following.return?.();
    expect(own.log.followers).toBe(0);
  });

  test("a signal ends a wait with its reason within 100 ms, and frees the follower", async () => {
    const controller = new AbortController();
    const before = instance.log.followers;
    const { position } = await snapshotOf(instance.log);
    const waiting = instance.log.follow(position, controller.signal)[Symbol.asyncIterator]().next();
    const reason = new Error("enough");
    const startedMs = performance.now();
    setImmediate(() => controller.abort(reason));
    await expect(waiting).rejects.toBe(reason);
    expect(performance.now() - startedMs).toBeLessThan(100);
    expect(instance.log.followers).toBe(before);
  });

  test(
    "the changes of 10 writers come each once and in the order of each item, to 3 followers",
    { timeout: 60_000 },
    async () => {
      await using resources = new AsyncDisposableStack();
      const own = await fresh(resources);
      // On SQLite a commit waits for the disk, and cannot overtake another.
      const count = own.database.engine === "sqlite" ? 1_000 : 4_000;
      const followers = [1, 2, 3].map(async () => await take(own.log, logStart, count, 50_000));
      await write([own], { writers: 10, count, random: seededRandom(1) });
      const [first, ...others] = await Promise.all(followers);
      expect(applyInOrder(first ?? [])).toEqual(await stateOf(own.database));
      expect(first?.map(({ pos }) => pos)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
      for (const other of others) expect(other).toEqual(first);
    },
  );

  test("a snapshot under writes and the changes behind it make the final state", { timeout: 60_000 }, async () => {
    await using resources = new AsyncDisposableStack();
    const own = await fresh(resources);
    let done = false;
    const snapshots: { state: Map<string, number>; position: LogPosition }[] = [];
    const taking = (async () => {
      while (!done) snapshots.push(await snapshotOf(own.log));
    })();
    await write([own], { writers: 8, count: 800, random: seededRandom(2) });
    done = true;
    await taking;
    expect(snapshots.length).toBeGreaterThan(3);
    const final = await stateOf(own.database);
    for (const { state, position } of snapshots) {
      const changes = position.pos === 800 ? [] : await take(own.log, position, 800 - position.pos);
      expect(applyInOrder(changes, state)).toEqual(final);
      expect(await own.log.fromResumeToken(own.log.toResumeToken(position))).toEqual(position);
    }
  });

  test("old changes are removed, the last one stays, and who is behind is told", async () => {
    await using resources = new AsyncDisposableStack();
    let nowMs = 1_000_000_000;
    const day = 86_400_000;
    const own = await fresh(resources, { ...systemClock, now: () => nowMs });
    for (let n = 0; n < 10; n++) {
      await bump(own, "old");
      nowMs += day;
    }
    const changes = await take(own.log, logStart, 10);
    const tokens = changes.map((change) => own.log.toResumeToken(change));
    const slow = own.log.follow(changes[0] as Change, AbortSignal.timeout(10_000))[Symbol.asyncIterator]();
    const expired = { code: 11, reason: "RESUME_TOKEN_EXPIRED", domain: "user.v1" };

    await own.log.prune();
    expect(await own.log.floor()).toBe(4); // Of 10 days, those within 7.
    await expect(own.log.fromResumeToken(tokens[2] as string)).rejects.toMatchObject(expired);
    expect(await own.log.fromResumeToken(tokens[3] as string)).toMatchObject({ pos: 4 });
    await expect(own.log.fromResumeToken(own.log.toResumeToken(logStart))).rejects.toMatchObject(expired);
    await expect(slow.next()).rejects.toMatchObject(expired);

    nowMs += 30 * day;
    await own.log.prune();
    expect(await own.log.floor()).toBe(10);
    expect(await own.log.fromResumeToken(tokens[9] as string)).toMatchObject({ pos: 10 });
    await expect(own.log.fromResumeToken(tokens[8] as string)).rejects.toMatchObject(expired);
    await bump(own, "old");
    expect((await take(own.log, changes[9] as Change, 1))[0]).toMatchObject({ pos: 11, aggregateVersion: 11 });
    expect((await snapshotOf(own.log)).position.pos).toBe(11);
  });

  test("thousands of old changes are removed in steps", async () => {
    await using resources = new AsyncDisposableStack();
    const own = await fresh(resources, { ...systemClock, now: () => 1 });
    const { database, log } = own;
    await database.transaction(
      async (trx) => await log.append(trx, ...Array.from({ length: 1_700 }, (_, n) => changeOf("many", n + 1))),
    );
    expect(await take(log, logStart, 1_700)).toHaveLength(1_700);
    await using later = await createChangeLogAt(database, 700_000_000);
    await later.prune();
    expect(await log.floor()).toBe(1_700);
  });

  async function createChangeLogAt(database: Database<Tables>, nowMs: number): Promise<ChangeLog<Tables>> {
    return await createChangeLog(database, {
      domain: "user.v1",
      logger: silentLogger,
      clock: { ...systemClock, now: () => nowMs },
    });
  }

  test("a token of another database has expired, one that was changed is none", async () => {
    await using resources = new AsyncDisposableStack();
    const own = await fresh(resources);
    const other = await fresh(resources);
    for (const each of [own, other]) await bump(each, "a");
    const [foreign] = await take(other.log, logStart, 1);
    const [mine] = await take(own.log, logStart, 1);
    const token = own.log.toResumeToken(mine as Change);
    expect(token.length).toBeLessThan(64);
    expect(await own.log.fromResumeToken(token)).toMatchObject({ pos: 1 });
    await expect(own.log.fromResumeToken(other.log.toResumeToken(foreign as Change))).rejects.toMatchObject({
      code: 11,
      reason: "RESUME_TOKEN_EXPIRED",
    });
    // The same position with another change: a database that was put back, and has gone another way since.
    await expect(own.log.fromResumeToken(own.log.toResumeToken({ pos: 1, eventId: newId() }))).rejects.toMatchObject({
      code: 11,
    });
    await expect(own.log.fromResumeToken(own.log.toResumeToken({ pos: 2, eventId: newId() }))).rejects.toMatchObject({
      code: 11,
    });
    for (const garbage of ["x", `${token}A`, token.slice(1), token.replace(/^./, "-"), `${token} `, "é", "A".repeat(31)]) {
      await expect(own.log.fromResumeToken(garbage)).rejects.toMatchObject({
        code: 3,
        reason: "RESUME_TOKEN_INVALID",
        domain: "user.v1",
      });
    }
  });

  test("a snapshot of a log without changes can be resumed", async () => {
    await using resources = new AsyncDisposableStack();
    const own = await fresh(resources);
    const { state, position } = await snapshotOf(own.log);
    expect([state.size, position]).toEqual([0, logStart]);
    const token = own.log.toResumeToken(position);
    expect(await own.log.fromResumeToken(token)).toEqual(logStart);
    await bump(own, "first");
    expect(await take(own.log, await own.log.fromResumeToken(token), 1)).toHaveLength(1);
  });

  test("disposing ends who follows", async () => {
    await using resources = new AsyncDisposableStack();
    const own = await fresh(resources);
    const waiting = own.log.follow(logStart, AbortSignal.timeout(10_000))[Symbol.asyncIterator]().next();
    const ended = expect(waiting).rejects.toThrow("closed");
    await own.log[Symbol.asyncDispose]();
    await ended;
  });

  if (newPlace("probe").engine === "sqlite") return;

  describe("with several instances", () => {
    test("a change on one is seen on the other within 500 ms", { timeout: 30_000 }, async () => {
      await using resources = new AsyncDisposableStack();
      const own = await fresh(resources);
      await using other = await openInstance({ ...place, name: await schemaOf(own.database) });
      const following = other.log.follow(logStart, AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
      const delays: number[] = [];
      for (let n = 0; n < 40; n++) {
        await bump(own, "seen");
        const startedMs = performance.now();
        await following.next();
        delays.push(performance.now() - startedMs);
      }
      delays.sort((a, b) => a - b);
      expect(delays.at(-1)).toBeLessThan(500);
      // Woken, not polled.
      expect(delays[20]).toBeLessThan(100);
      await following.return?.();
    });

    test(
      "4,000 changes through 2 leaders come each once and in order, on both, with snapshots",
      { timeout: 60_000 },
      async () => {
        await using resources = new AsyncDisposableStack();
        const own = await fresh(resources);
        const name = await schemaOf(own.database);
        await using other = await openInstance({ ...place, name });
        await using third = await openInstance({ ...place, name });
        const following = [own, other].map(async ({ log }) => await take(log, logStart, 4_000, 50_000));
        const snapshots: Awaited<ReturnType<typeof snapshotOf>>[] = [];
        let done = false;
        const taking = (async () => {
          while (!done) snapshots.push(await snapshotOf(third.log));
        })();
        await write([own, other], { writers: 16, count: 4_000, random: seededRandom(3) });
        done = true;
        await taking;
        const [first, second] = await Promise.all(following);
        const final = await stateOf(own.database);
        expect(applyInOrder(first ?? [])).toEqual(final);
        expect(second).toEqual(first);
        expect(snapshots.length).toBeGreaterThan(3);
        for (const { state, position } of snapshots)
          expect(applyInOrder((first ?? []).slice(position.pos), state)).toEqual(final);
        const { rows } = await sql<{ v: number }>`select v from mesh_outbox_ctr`.execute(meshReader(own.database.read));
        expect(rows).toEqual([{ v: 4_000 }]);
      },
    );

    test("a follower whose database goes away is told", async () => {
      await using resources = new AsyncDisposableStack();
      const own = await fresh(resources);
      const waiting = own.log.follow(logStart, AbortSignal.timeout(10_000))[Symbol.asyncIterator]().next();
      const failed = expect(waiting).rejects.toThrow();
      await own.database[Symbol.asyncDispose]();
      await failed;
    });
  });

  async function schemaOf(database: Database<Tables>): Promise<string> {
    const { rows } = await sql<{ name: string }>`select current_schema() as name`.execute(meshReader(database.read));
    return rows[0]?.name ?? "";
  }
});
