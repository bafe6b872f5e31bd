import { sql } from "kysely";
import type { Kysely } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../../tools/databases.ts";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import { silentLogger } from "../base/logger.ts";
import { openDatabase } from "./database.ts";
import type { Database } from "./database.ts";
import type { Migrations } from "./migration.ts";

interface Tables {
  readonly item: { id: string; n: number; label: string; flag: boolean | number; version: number };
}

const migrations: Migrations = {
  "0001_item": async (db, { text }) => {
    await db.schema
      .createTable("item")
      .addColumn("id", text, (column) => column.primaryKey().notNull())
      .addColumn("n", "bigint", (column) => column.notNull())
      .addColumn("label", text, (column) => column.notNull().unique())
      .addColumn("flag", "boolean", (column) => column.notNull())
      .addColumn("version", "bigint", (column) => column.notNull())
      .execute();
  },
};

const row = (id: string, more: Partial<Tables["item"]> = {}): Tables["item"] => ({
  id,
  n: 0,
  label: id,
  flag: false,
  version: 1,
  ...more,
});

const fortyTimes = <T>(work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: 40 }, (_, index) => work(index)));

describeOnEachEngine("the data layer", (newPlace) => {
  let place: DatabasePlace;
  let database: Database<Tables>;

  beforeAll(async () => {
    place = newPlace("data");
    database = await openDatabase<Tables>({ ...place, migrations, logger: silentLogger });
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const add = async (...rows: Tables["item"][]): Promise<void> => {
    await database.transaction(async (trx) => await trx.insertInto("item").values(rows).execute());
  };
  const read = async (id: string): Promise<Tables["item"] | undefined> =>
    await database.read.selectFrom("item").selectAll().where("id", "=", id).executeTakeFirst();

  test("says which engine it is, and answers a ping", async () => {
    expect(database.engine).toBe(place.engine);
    await database.ping();
  });

  test("commits what resolves and rolls back what rejects", async () => {
    await add(row("kept"));
    const failing = database.transaction(async (trx) => {
      await trx.insertInto("item").values(row("dropped")).execute();
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    expect(await read("kept")).toMatchObject({ id: "kept" });
    expect(await read("dropped")).toBeUndefined();
  });

  test("40 concurrent increments in the statement itself make 40", async () => {
    await add(row("counter"));
    await fortyTimes(
      async () =>
        await database.transaction(
          async (trx) =>
            await trx
              .updateTable("item")
              .set((item) => ({ n: item("n", "+", 1) }))
              .where("id", "=", "counter")
              .execute(),
        ),
    );
    expect(await read("counter")).toMatchObject({ n: 40 });
  });

  test("40 concurrent read-modify-writes guarded by a version make 40", async () => {
    await add(row("guarded"));
    const increment = async (): Promise<boolean> =>
      await database.transaction(async (trx) => {
        const { n, version } = await trx.selectFrom("item").selectAll().where("id", "=", "guarded").executeTakeFirstOrThrow();
        const { numUpdatedRows } = await trx
          .updateTable("item")
          .set({ n: n + 1, version: version + 1 })
          .where("id", "=", "guarded")
          .where("version", "=", version)
          .executeTakeFirstOrThrow();
        return numUpdatedRows === 1n;
      });
    await fortyTimes(async () => {
      while (!(await increment()));
    });
    expect(await read("guarded")).toMatchObject({ n: 40, version: 41 });
  });

  test("a conflict that is skipped in the statement leaves the transaction alive", async () => {
    await add(row("first"));
    await database.transaction(async (trx) => {
      const skipped = await trx
        .insertInto("item")
        .values(row("other", { label: "first" }))
        .onConflict((conflict) => conflict.column("label").doNothing())
        .returning("id")
        .execute();
      expect(skipped).toEqual([]);
      await trx.insertInto("item").values(row("went-on")).execute();
    });
    expect(await read("went-on")).toMatchObject({ id: "went-on" });
  });

  test("a unique violation is classified by the same name of the constraint", async () => {
    await add(row("unique"));
    const twice = async (values: Tables["item"]): Promise<unknown> =>
      await add(values).catch((error: unknown) => database.classify(error));
    expect(await twice(row("unique", { label: "another" }))).toEqual({ kind: "unique", constraint: "item_pkey" });
    expect(await twice(row("another", { label: "unique" }))).toEqual({ kind: "unique", constraint: "item_label_key" });
  });

  test("a fault of the program is classified as other", async () => {
    const failed = await sql`select nonsense from nowhere`
      .execute(database.read as unknown as Kysely<Tables>)
      .catch((error: unknown) => error);
    expect(database.classify(failed)).toEqual({ kind: "other" });
    expect(database.classify(new Error("not of the database"))).toEqual({ kind: "other" });
  });

  test("a query or a transaction outside of the open one throws", async () => {
    const aside = "outside of the transaction that is open here";
    await expect(database.transaction(async () => await read("x"))).rejects.toThrow(aside);
    await expect(database.transaction(async () => await add(row("x")))).rejects.toThrow(aside);
    await expect(database.transaction(async () => await database.ping())).rejects.toThrow(aside);
  });

  test("work that a transaction started and did not wait for may query once it is over", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let late: Promise<unknown> = Promise.resolve();
    await database.transaction(async () => {
      late = promise.then(async () => await read("counter"));
    });
    resolve();
    await expect(late).resolves.toMatchObject({ id: "counter" });
  });

  test("a read does not see what is not committed, and does not wait for it", async () => {
    await add(row("seen"));
    const written = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<void>();
    const writing = database.transaction(async (trx) => {
      await trx.updateTable("item").set({ n: 7 }).where("id", "=", "seen").execute();
      written.resolve();
      await seen.promise;
    });
    await written.promise;
    expect(await read("seen")).toMatchObject({ n: 0 });
    seen.resolve();
    await writing;
    expect(await read("seen")).toMatchObject({ n: 7 });
  });

  test("integers, counts and sums that are cast are numbers up to 2^53 - 1, and an error beyond", async () => {
    await add(row("big", { n: Number.MAX_SAFE_INTEGER }));
    expect(await read("big")).toMatchObject({ n: Number.MAX_SAFE_INTEGER });
    const { count, sum } = await database.read
      .selectFrom("item")
      .select([
        (item) => item.fn.countAll<number>().as("count"),
        (item) => item.cast<number>(item.fn.sum("n"), "bigint").as("sum"),
      ])
      .where("id", "=", "big")
      .executeTakeFirstOrThrow();
    expect({ count, sum }).toEqual({ count: 1, sum: Number.MAX_SAFE_INTEGER });
    await database.transaction(async (trx) => await sql`update item set n = 9007199254740993 where id = 'big'`.execute(trx));
    const failed = await read("big").catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(RangeError);
    expect(database.classify(failed)).toEqual({ kind: "other" });
    await database.ping();
  });

  test("booleans bind, and read back as true or 1", async () => {
    await add(row("flagged", { flag: true }), row("unflagged"));
    expect(Boolean((await read("flagged"))?.flag)).toBe(true);
    expect(Boolean((await read("unflagged"))?.flag)).toBe(false);
    expect(await database.read.selectFrom("item").select("id").where("flag", "=", true).execute()).toEqual([{ id: "flagged" }]);
  });

  test.each([
    ["NUL", "a\0b", "NUL"],
    ["half a surrogate pair", "a\ud800", "surrogate"],
    ["a Date", new Date(0), "Date"],
    ["undefined", undefined, "undefined"],
    ["NaN", Number.NaN, "NaN"],
  ])("refuses %s as a value", async (_, value, message) => {
    const query = database.read
      .selectFrom("item")
      .selectAll()
      .where("label", "=", value as string);
    await expect(query.execute()).rejects.toThrow(message);
  });

  test("LIKE on text in lower case matches the same rows", async () => {
    await add(row("like-1", { label: "b1%_x" }), row("like-2", { label: "b1abx" }), row("like-3", { label: "ärger" }));
    const like = async (pattern: string): Promise<string[]> =>
      (
        await database.read
          .selectFrom("item")
          .select("id")
          .where(sql<boolean>`label like ${pattern} escape '\\'`)
          .orderBy("id")
          .execute()
      ).map(({ id }) => id);
    expect(await like("b1%")).toEqual(["like-1", "like-2"]);
    expect(await like("b1\\%\\_x")).toEqual(["like-1"]);
    expect(await like("%rger")).toEqual(["like-3"]);
  });

  test("text is ordered by its bytes", async () => {
    const labels = ["Zebra", "apfel", "Äpfel", "_", "a b", "ab", "A", "😀", "\uffee", "é"];
    await add(...labels.map((label, index) => row(`order-${index}`, { label, n: -5 })));
    const rows = await database.read.selectFrom("item").select("label").where("n", "=", -5).orderBy("label").execute();
    const byBytes = labels.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(rows.map(({ label }) => label)).toEqual(byBytes);
  });

  test("a transaction that the database asks to repeat is run again", async () => {
    let runs = 0;
    await database.transaction(async (trx) => {
      runs += 1;
      await trx
        .insertInto("item")
        .values(row(`run-${runs}`))
        .execute();
      if (runs < 3)
        throw Object.assign(new Error("deadlock"), place.engine === "postgres" ? { code: "40P01" } : { errcode: 517 });
    });
    expect(runs).toBe(3);
    expect([await read("run-1"), await read("run-2")]).toEqual([undefined, undefined]);
    expect(await read("run-3")).toBeDefined();
  });

  test("a failure that does not end is passed on after five runs", async () => {
    let runs = 0;
    const failing = database.transaction(async () => {
      runs += 1;
      throw Object.assign(new Error("deadlock for ever"), place.engine === "postgres" ? { code: "40001" } : { errcode: 517 });
    });
    await expect(failing).rejects.toThrow("deadlock for ever");
    expect(runs).toBe(5);
  });

  test("opening it again keeps the rows and runs no step twice", async () => {
    await add(row("durable"));
    await database[Symbol.asyncDispose]();
    database = await openDatabase<Tables>({ ...place, migrations, logger: silentLogger });
    expect(await read("durable")).toMatchObject({ id: "durable" });
  });

  test("a step that fails leaves no trace, and a step of a newer instance does not stop an older one", async () => {
    await database[Symbol.asyncDispose]();
    const failing: Migrations = {
      ...migrations,
      "0002_broken": async (db, { text }) => {
        await db.schema.createTable("half").addColumn("id", text).execute();
        throw new Error("the step broke");
      },
    };
    await expect(openDatabase<Tables>({ ...place, migrations: failing, logger: silentLogger })).rejects.toThrow("the step broke");
    const newer: Migrations = {
      ...migrations,
      "0002_half": async (db, { text }) => {
        await db.schema.createTable("half").addColumn("id", text).execute();
      },
    };
    await (await openDatabase<Tables>({ ...place, migrations: newer, logger: silentLogger }))[Symbol.asyncDispose]();
    database = await openDatabase<Tables>({ ...place, migrations, logger: silentLogger });
    await database.ping();
  });
});
