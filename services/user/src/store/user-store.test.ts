import { silentLogger, systemClock } from "@protoloom/mesh";
import type { Clock } from "@protoloom/mesh";
import { createIdempotency, createPageTokens, newId, openDatabase, toEtag } from "@protoloom/mesh/data";
import type { Database } from "@protoloom/mesh/data";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../../tools/databases.ts";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import type { UserProblem } from "../domain/user-error.ts";
import { UserError } from "../domain/user-error.ts";
import type { User, UserFields } from "../domain/user.ts";
import { userMigrations } from "./migrations.ts";
import type { UserTables } from "./migrations.ts";
import { createUserStore } from "./user-store.ts";
import type { UserChange, UserStore } from "./user-store.ts";

describeOnEachEngine("the user store", (newPlace) => {
  let nowMs = 1_700_000_000_000;
  const clock: Clock = { ...systemClock, now: () => nowMs };
  let place: DatabasePlace;
  let database: Database<UserTables>;
  let store: UserStore;
  const recorded: UserChange[] = [];

  beforeAll(async () => {
    place = newPlace("user");
    database = await openDatabase<UserTables>({ ...place, migrations: userMigrations, logger: silentLogger });
    store = createUserStore({
      database,
      tokens: await createPageTokens(database, { domain: "user.v1" }),
      clock,
      newId,
      record: async (_trx, changes) => void recorded.push(...changes),
    });
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const create = async (email: string, name = "Ada"): Promise<User> =>
    await database.transaction(async (trx) => await store.create(trx, { name, email }));
  const update = async (id: string, fields: Partial<UserFields>, etag = ""): Promise<User> =>
    await database.transaction(async (trx) => await store.update(trx, id, { fields, etag }));
  const remove = async (id: string, etag = ""): Promise<void> =>
    await database.transaction(async (trx) => await store.delete(trx, id, etag));
  const problemOf = async (work: Promise<unknown>): Promise<UserProblem> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error instanceof UserError) return error.problem;
    throw new Error("no problem", { cause: error });
  };
  const listAll = async (orderBy: string, pageSize: number): Promise<readonly User[]> => {
    const users: User[] = [];
    let pageToken = "";
    do {
      const page = await store.list({ pageSize, pageToken, orderBy });
      users.push(...page.users);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return users;
  };

  test("a user that was created reads back equal, with a UUID of version 7", async () => {
    const user = await create("Ada@Example.org", "Ada Lovelace");
    expect(user).toMatchObject({ name: "Ada Lovelace", email: "Ada@Example.org", createMs: nowMs, updateMs: nowMs, version: 1 });
    expect(user.id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    expect(await store.get(user.id)).toEqual(user);
  });

  test("two users never share an e-mail address, in whatever case it is written", async () => {
    await create("grace@example.org");
    expect(await problemOf(create("GRACE@example.ORG"))).toEqual({ kind: "email_taken" });
    const other = await create("hopper@example.org");
    expect(await problemOf(update(other.id, { email: "Grace@example.org" }))).toEqual({ kind: "email_taken" });
    expect(await store.get(other.id)).toEqual(other);
    expect(await update(other.id, { email: "HOPPER@example.org" })).toMatchObject({ email: "HOPPER@example.org", version: 2 });
  });

  test("of 20 creates at once with one e-mail address one succeeds", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, async () => await create("race@example.org")));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("of 20 updates at once with one etag one succeeds", async () => {
    const user = await create("cas@example.org");
    const etag = toEtag(user.id, user.version);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, index) => await update(user.id, { name: `n${index}` }, etag)),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await store.get(user.id)).toMatchObject({ version: 2 });
  });

  test("an update without an etag changes only its fields, and never loses one beside it", async () => {
    const user = await create("both@example.org", "before");
    nowMs += 1_000;
    await Promise.all([update(user.id, { name: "after" }), update(user.id, { email: "both-after@example.org" })]);
    expect(await store.get(user.id)).toMatchObject({
      name: "after",
      email: "both-after@example.org",
      version: 3,
      createMs: user.createMs,
      updateMs: nowMs,
    });
  });

  test("an update of nothing gives the user as it is", async () => {
    const user = await create("still@example.org");
    expect(await update(user.id, {})).toEqual(user);
    expect(await problemOf(update(user.id, {}, "stale"))).toEqual({ kind: "etag_mismatch", id: user.id });
  });

  test("an etag of before, of another user or none at all is a mismatch", async () => {
    const [user, other] = [await create("etag@example.org"), await create("etag-other@example.org")];
    const before = toEtag(user.id, user.version);
    await update(user.id, { name: "changed" }, before);
    for (const etag of [before, toEtag(other.id, 2), "x", "AAAAAAAAAAAAAAAA"]) {
      expect(await problemOf(update(user.id, { name: "again" }, etag))).toEqual({ kind: "etag_mismatch", id: user.id });
      expect(await problemOf(remove(user.id, etag))).toEqual({ kind: "etag_mismatch", id: user.id });
    }
    await remove(user.id, toEtag(user.id, 2));
  });

  test("what does not exist, or cannot, is not found", async () => {
    const user = await create("gone@example.org");
    await remove(user.id);
    for (const id of [user.id, newId(), "", "no-uuid", "a\0b", user.id.toUpperCase()]) {
      const notFound = { kind: "not_found", ids: [id] };
      expect(await problemOf(store.get(id))).toEqual(notFound);
      expect(await problemOf(update(id, { name: "x" }))).toEqual(notFound);
      expect(await problemOf(remove(id, "etag"))).toEqual(notFound);
    }
  });

  test("several are read in the order asked, twice where asked twice, or every unknown one is named", async () => {
    const [a, b] = [await create("a@example.org"), await create("b@example.org")];
    expect(await store.getAll([b.id, a.id, b.id])).toEqual([b, a, b]);
    expect(await problemOf(store.getAll([a.id, "nobody", b.id, "none", "nobody"]))).toEqual({
      kind: "not_found",
      ids: ["nobody", "none"],
    });
  });

  test("a list is complete and in order, whatever its page size", async () => {
    const names = ["b", "a", "B", "ä", "a", "c", "😀", "", "aa"].map((name) => name || "empty");
    for (const [index, name] of names.entries()) {
      nowMs += index % 2;
      await create(`List-${index}@example.org`, name);
    }
    const by = (key: (user: User) => string | number) => (x: User, y: User) => {
      const order = Buffer.compare(Buffer.from(sortable(key(x))), Buffer.from(sortable(key(y))));
      return order === 0 ? (x.id < y.id ? -1 : 1) : order;
    };
    const sortable = (value: string | number): string => (typeof value === "number" ? String(value).padStart(20, "0") : value);
    const all = await listAll("", 100);
    expect(all.length).toBeGreaterThan(names.length);
    const orders: readonly (readonly [string, (user: User) => string | number])[] = [
      ["", (user) => user.createMs],
      ["create_time", (user) => user.createMs],
      ["update_time", (user) => user.updateMs],
      ["name", (user) => user.name],
      ["email", (user) => user.email.toLowerCase()],
    ];
    for (const [orderBy, key] of orders) {
      const expected = all.toSorted(by(key));
      expect(await listAll(orderBy, 2)).toEqual(expected);
      if (orderBy !== "") expect(await listAll(`${orderBy} desc`, 3)).toEqual(expected.toReversed());
    }
    const mixed = await listAll("name desc, create_time", 2);
    expect(mixed).toEqual(
      all.toSorted((x, y) => -by((user) => user.name)(x, y) * Number(x.name !== y.name) || by((user) => user.createMs)(x, y)),
    );
  });

  test("a page goes on after its last row, whatever was written meanwhile", async () => {
    const first = await store.list({ pageSize: 3, pageToken: "", orderBy: "email" });
    await remove(first.users[2]?.id ?? "");
    await create("0-before-all@example.org");
    const rest = await listAll("email", 100);
    const second = await store.list({ pageSize: 100, pageToken: first.nextPageToken, orderBy: "email" });
    expect(second.users).toEqual(rest.filter(({ email }) => email.toLowerCase() > (first.users[2]?.email.toLowerCase() ?? "")));
  });

  test("page sizes are 50 by default and 100 at most", async () => {
    await database.transaction(async (trx) => {
      for (let index = 0; index < 101; index++) await store.create(trx, { name: "many", email: `many-${index}@example.org` });
    });
    const sizeOf = async (pageSize: number): Promise<number> =>
      (await store.list({ pageSize, pageToken: "", orderBy: "" })).users.length;
    expect([await sizeOf(0), await sizeOf(7), await sizeOf(100), await sizeOf(5_000)]).toEqual([50, 7, 100, 100]);
  });

  test("a token that was changed, or is of another order, is refused", async () => {
    const { nextPageToken } = await store.list({ pageSize: 1, pageToken: "", orderBy: "name" });
    const changed = (nextPageToken.startsWith("A") ? "B" : "A") + nextPageToken.slice(1);
    const refused = { code: 3, reason: "PAGE_TOKEN_INVALID", domain: "user.v1" };
    for (const [pageToken, orderBy] of [
      [changed, "name"],
      [`${nextPageToken} `, "name"],
      [nextPageToken.slice(0, -4), "name"],
      ["x", "name"],
      [nextPageToken, "name desc"],
      [nextPageToken, ""],
    ] as const) {
      await expect(store.list({ pageSize: 1, pageToken, orderBy })).rejects.toMatchObject(refused);
    }
    expect((await store.list({ pageSize: 9, pageToken: nextPageToken, orderBy: "name" })).users).toHaveLength(9);
  });

  test("a token of another database is refused", async () => {
    await using otherPlace = newPlace("user");
    await using other = await openDatabase<UserTables>({ ...otherPlace, migrations: userMigrations, logger: silentLogger });
    const foreign = (await createPageTokens(other, { domain: "user.v1" })).issue("any", [1, "x"]);
    await expect(store.list({ pageSize: 1, pageToken: foreign, orderBy: "" })).rejects.toMatchObject({
      reason: "PAGE_TOKEN_INVALID",
    });
  });

  test.each([
    "nonsense",
    "name up",
    "name desc desc",
    "name,name",
    "name,",
    ",",
    "id",
    "email_key",
    "name; drop table users",
    "toString",
  ])("order_by %j is refused", async (orderBy) => {
    await expect(store.list({ pageSize: 1, pageToken: "", orderBy })).rejects.toMatchObject({
      code: 3,
      reason: "ORDER_BY_INVALID",
    });
  });

  test("every change is recorded, and nothing that changes nothing", async () => {
    recorded.length = 0;
    const user = await create("recorded@example.org");
    const changed = await update(user.id, { name: "changed" });
    await update(user.id, {});
    expect(await problemOf(update(user.id, { name: "stale" }, toEtag(user.id, 1)))).toMatchObject({ kind: "etag_mismatch" });
    expect(await problemOf(create("recorded@example.org"))).toEqual({ kind: "email_taken" });
    await remove(user.id);
    expect(await problemOf(remove(user.id))).toMatchObject({ kind: "not_found" });
    expect(recorded).toEqual([
      { type: "created", user },
      { type: "updated", user: changed },
      { type: "deleted", user: changed },
    ]);
  });

  test("of several users the first with each free address is stored", async () => {
    await create("several-taken@example.org");
    const users = ["Several-1@example.org", "several-taken@EXAMPLE.org", "several-1@example.org", "several-0@example.org"].map(
      (email, index) => store.prepare({ name: String(index), email }),
    );
    recorded.length = 0;
    const stored = await database.transaction(async (trx) => await store.insert(trx, users));
    expect([...stored].map(({ name }) => name)).toEqual(["0", "3"]);
    expect(recorded.map(({ type, user }) => [type, user.name])).toEqual([
      ["created", "0"],
      ["created", "3"],
    ]);
    expect(await store.getAll([...stored].map(({ id }) => id))).toEqual([...stored]);
  });

  test("a view is read whole, page by page", async () => {
    await database.transaction(async (trx) => {
      const many = Array.from({ length: 1_100 }, (_, index) =>
        store.prepare({ name: "view", email: `view-${index}@example.org` }),
      );
      await store.insert(trx, many);
    });
    const ids: string[] = [];
    await database.view(async (view) => {
      for await (const { id } of store.readAll(view)) ids.push(id);
    });
    expect(ids).toEqual([...new Set(ids)].toSorted());
    expect(ids.length).toBeGreaterThan(1_100);
  });

  test("50 calls at once with one request id make one user and 50 equal answers", async () => {
    await using idempotency = createIdempotency(database, { domain: "user.v1", logger: silentLogger });
    const text = {
      path: "/t/Create",
      requestSerialize: bytesOf,
      responseSerialize: bytesOf,
      responseDeserialize: (bytes: Buffer) => JSON.parse(bytes.toString()) as User,
    };
    const request = { requestId: "once", email: "once@example.org" };
    const answers = await Promise.all(
      Array.from(
        { length: 50 },
        async () =>
          await idempotency.run(text, request, async (trx) => await store.create(trx, { name: "Once", email: request.email })),
      ),
    );
    expect(answers).toHaveLength(50);
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await store.get(answers[0]?.id ?? "")).toEqual(answers[0]);
  });
});

function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
