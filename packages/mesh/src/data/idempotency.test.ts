import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../../tools/databases.ts";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { openDatabase } from "./database.ts";
import type { Database } from "./database.ts";
import { createIdempotency, idempotencyDefaults } from "./idempotency.ts";
import type { Idempotency, RepeatableMethod } from "./idempotency.ts";
import type { MeshTables } from "./mesh-tables.ts";

type Tables = MeshTables & { readonly effect: { readonly id: string } };

interface Request {
  readonly requestId: string;
  readonly text: string;
}

const text = (value: string): Buffer => Buffer.from(value);
const method = (path: string): RepeatableMethod<Request, string> => ({
  path,
  requestSerialize: (request) => text(JSON.stringify(request)),
  responseSerialize: text,
  responseDeserialize: (bytes) => bytes.toString(),
});
const create = method("/test.v1.Test/Create");

describeOnEachEngine("idempotency", (newPlace) => {
  let nowMs = 1_700_000_000_000;
  const clock: Clock = { ...systemClock, now: () => nowMs };
  let place: DatabasePlace;
  let database: Database<Tables>;
  let idempotency: Idempotency<Tables>;
  let effects = 0;

  beforeAll(async () => {
    place = newPlace("idempotency");
    const migrations = {
      "0001_effect": async (db, { text: type }) => {
        await db.schema
          .createTable("effect")
          .addColumn("id", type, (column) => column.primaryKey().notNull())
          .execute();
      },
    } satisfies Parameters<typeof openDatabase>[0]["migrations"];
    database = await openDatabase<Tables>({ ...place, migrations, logger: silentLogger });
    idempotency = createIdempotency(database, { domain: "test.v1", logger: silentLogger, clock });
  });
  afterAll(async () => {
    await idempotency[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const call = async (requestId: string, body: string, on = create): Promise<string> =>
    await idempotency.run(on, { requestId, text: body }, async (trx) => {
      effects += 1;
      await trx
        .insertInto("effect")
        .values({ id: `${body} ${effects}` })
        .execute();
      return `${body} ${effects}`;
    });
  const effectsOf = async (body: string): Promise<number> =>
    (await database.read.selectFrom("effect").selectAll().where("id", "like", `${body} %`).execute()).length;
  const kept = async (): Promise<number> => (await database.read.selectFrom("mesh_idempotency").select("key").execute()).length;

  test("the same request again has one effect and the first answer", async () => {
    const answer = await call("again", "one");
    expect([await call("again", "one"), await call("again", "one")]).toEqual([answer, answer]);
    expect(await effectsOf("one")).toBe(1);
  });

  test("another request with the same id is refused, and another method is another id", async () => {
    await call("shared", "two");
    await expect(call("shared", "other")).rejects.toMatchObject({ code: 6, reason: "REQUEST_ID_REUSED", domain: "test.v1" });
    await call("shared", "two", method("/test.v1.Test/Update"));
    expect(await effectsOf("two")).toBe(2);
  });

  test("50 at once have one effect and 50 equal answers", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, async () => await call("fifty", "three")));
    expect(new Set(answers).size).toBe(1);
    expect(await effectsOf("three")).toBe(1);
  });

  test("a second call waits for the first, and runs if the first fails", async () => {
    const started = Promise.withResolvers<void>();
    const fail = Promise.withResolvers<void>();
    const first = idempotency.run(create, { requestId: "waits", text: "four" }, async () => {
      started.resolve();
      await fail.promise;
      throw new Error("the first failed");
    });
    await started.promise;
    const second = call("waits", "four");
    const isSettled = await Promise.race([second.then(() => true), systemClock.sleep(50).then(() => false)]);
    fail.resolve();
    await expect(first).rejects.toThrow("the first failed");
    await second;
    expect(isSettled).toBe(false);
    expect(await effectsOf("four")).toBe(1);
  });

  test("a call without an id is no more than a transaction", async () => {
    const before = await kept();
    await call("", "five");
    await call("", "five");
    expect(await effectsOf("five")).toBe(2);
    expect(await kept()).toBe(before);
  });

  test("an answer without bytes is an answer", async () => {
    let runs = 0;
    const empty = async (): Promise<string> =>
      await idempotency.run(create, { requestId: "empty", text: "six" }, async () => {
        runs += 1;
        return "";
      });
    expect([await empty(), await empty()]).toEqual(["", ""]);
    expect(runs).toBe(1);
  });

  test("an id is free again when its answer has expired, swept or not", async () => {
    await call("expires", "seven");
    nowMs += idempotencyDefaults.ttlMs - 1;
    await call("expires", "seven");
    expect(await effectsOf("seven")).toBe(1);
    nowMs += 1;
    await call("expires", "eight");
    expect(await effectsOf("eight")).toBe(1);
  });

  test("the sweep removes what has expired, in batches, and nothing else", async () => {
    nowMs += idempotencyDefaults.ttlMs;
    await database.transaction(async (trx) => {
      const rows = Array.from({ length: idempotencyDefaults.sweepBatch + 1 }, (_, index) => ({
        principal: "",
        method: "old",
        key: `${index}`,
        request_hash: "",
        response: null,
        expires_ms: nowMs,
      }));
      await trx.insertInto("mesh_idempotency").values(rows).execute();
    });
    await call("stays", "nine");
    await idempotency.sweep();
    expect(await database.read.selectFrom("mesh_idempotency").select("key").execute()).toEqual([{ key: "stays" }]);
  });
});
