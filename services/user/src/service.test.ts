import { newId } from "@protoloom/mesh/data";
import type { MeshError } from "@protoloom/mesh";
import { callError } from "@protoloom/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../tools/databases.ts";
import { describeWith } from "../../../tools/parts.ts";
import { startPostgres } from "../../../tools/postgres.ts";
import { startUsers } from "./test-rig/start-users.ts";
import type { Users } from "./test-rig/start-users.ts";

describeWith(["postgres"], "the user service without its database", () => {
  test("says so at once, and goes on when the database is back", async () => {
    await using database = await startPostgres();
    await using resources = new AsyncDisposableStack();
    const users = await startUsers({ name: "user", url: database.url, dataDir: "" }, resources);
    const user = await users.createUser({ user: { name: "Ada", email: "ada@example.org" } });
    process.kill(database.pid, "SIGQUIT");
    const away = { code: 14, reason: "STORE_UNAVAILABLE", domain: "user.v1" };
    let error: MeshError | undefined;
    for (let tries = 0; error === undefined && tries < 100; tries++)
      error = await users.getUser({ id: user.id }).then(
        () => undefined,
        (thrown: MeshError) => thrown,
      );
    expect(error).toMatchObject(away);
    expect(await callError(users.createUser({ user: { name: "Grace", email: "grace@example.org" } }))).toMatchObject(away);
    await database.restart();
    expect((await users.createUser({ user: { name: "Grace", email: "grace@example.org" } })).name).toBe("Grace");
  });
});

describeOnEachEngine("the user service", (newPlace) => {
  const resources = new AsyncDisposableStack();
  let users: Users;

  beforeAll(async () => {
    users = await startUsers(resources.use(newPlace("user")), resources);
  });
  afterAll(async () => {
    await resources.disposeAsync();
  });

  test("creates, reads, lists, changes and deletes a user", async () => {
    const user = await users.createUser({ user: { name: "Ada", email: "ada@example.org" } });
    expect(user).toMatchObject({ name: "Ada", email: "ada@example.org" });
    expect(user.createTime).toEqual(user.updateTime);
    expect(await users.getUser({ id: user.id })).toEqual(user);
    expect((await users.batchGetUsers({ ids: [user.id, user.id] })).users).toEqual([user, user]);
    expect((await users.listUsers({})).users).toContainEqual(user);
    const changed = await users.updateUser({ user: { id: user.id, name: "Ada Lovelace", etag: user.etag } });
    expect(changed).toMatchObject({ name: "Ada Lovelace", email: "ada@example.org", createTime: user.createTime });
    expect(changed.etag).not.toBe(user.etag);
    await users.deleteUser({ id: user.id, etag: changed.etag });
    expect(await callError(users.deleteUser({ id: user.id }))).toMatchObject({
      code: 5,
      reason: "USER_NOT_FOUND",
      domain: "user.v1",
    });
  });

  test("a wrong e-mail address is refused, and the field named", async () => {
    const error = await callError(users.createUser({ user: { name: "Ada", email: "no address" } }));
    expect(error).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
    expect(error.detail).toContain("user.email");
  });

  test("what a create lacks is named, and what the server makes is ignored", async () => {
    for (const user of [{}, { name: "", email: "" }]) {
      const error = await callError(users.createUser({ user }));
      expect(error).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
      expect(error.detail).toBe("user.name: name is required; user.email: email is required");
    }
    expect(await callError(users.createUser({}))).toMatchObject({ code: 3, detail: "user: value is required" });
    expect((await callError(users.createUser({ user: { name: "Ada" } }))).detail).toBe("user.email: email is required");
    const sent = { id: newId(), name: "Made", email: "made@example.org", createTime: new Date(0), etag: "mine" };
    const made = await users.createUser({ user: sent });
    expect(made).not.toMatchObject({ id: sent.id });
    expect(made).not.toMatchObject({ etag: sent.etag });
    expect(made.createTime?.getTime()).toBeGreaterThan(0);
  });

  test("an e-mail address that is taken is refused in any case, on create and on update", async () => {
    await users.createUser({ user: { name: "Grace", email: "Grace@example.org" } });
    const taken = { code: 6, reason: "EMAIL_TAKEN", domain: "user.v1" };
    expect(await callError(users.createUser({ user: { name: "G", email: "grace@EXAMPLE.org" } }))).toMatchObject(taken);
    const other = await users.createUser({ user: { name: "G", email: "g@example.org" } });
    expect(await callError(users.updateUser({ user: { id: other.id, email: "GRACE@example.org" } }))).toMatchObject(taken);
  });

  test("a name is kept in NFC, and refused where that makes it too long", async () => {
    const user = await users.createUser({ user: { name: "  A\u0308da ", email: "nfc@example.org" } });
    expect(user.name).toBe("  Äda ");
    const long = await callError(users.createUser({ user: { name: "\u0958".repeat(200), email: "long@example.org" } }));
    expect(long).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
    expect(long.detail).toContain("user.name");
  });

  test("a stale etag aborts", async () => {
    const user = await users.createUser({ user: { name: "Etag", email: "etag@example.org" } });
    await users.updateUser({ user: { id: user.id, name: "changed" } });
    const stale = { code: 10, reason: "ETAG_MISMATCH", domain: "user.v1" };
    expect(await callError(users.updateUser({ user: { id: user.id, name: "again", etag: user.etag } }))).toMatchObject(stale);
    expect(await callError(users.deleteUser({ id: user.id, etag: user.etag }))).toMatchObject(stale);
  });

  test("an update mask says what changes", async () => {
    const created = await users.createUser({ user: { name: "Mask", email: "mask@example.org" } });
    const { id } = created;
    const sent = { id, name: "New", email: "new@example.org", createTime: new Date(0) };
    expect(await users.updateUser({ user: sent, updateMask: ["name"] })).toMatchObject({
      name: "New",
      email: "mask@example.org",
    });
    expect(await users.updateUser({ user: sent, updateMask: ["*"] })).toMatchObject({
      name: "New",
      email: "new@example.org",
      createTime: created.createTime,
    });
    const before = await users.getUser({ id });
    expect(
      await users.updateUser({ user: before, updateMask: ["id", "name", "create_time", "update_time", "etag"] }),
    ).toMatchObject({ name: "New" });
    const current = await users.getUser({ id });
    expect(await users.updateUser({ user: { id } })).toEqual(current);
    const unknown = await callError(users.updateUser({ user: sent, updateMask: ["name", "nickname"] }));
    expect(unknown).toMatchObject({ code: 3, reason: "UPDATE_MASK_INVALID", domain: "user.v1", info: { paths: "nickname" } });
    const cleared = await callError(users.updateUser({ user: { id }, updateMask: ["name"] }));
    expect(cleared).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
    expect(cleared.detail).toContain("user.name");
    expect(await callError(users.updateUser({ user: { id, email: "x@example.org" }, updateMask: ["*"] }))).toMatchObject({
      code: 3,
    });
    expect(await users.getUser({ id })).toEqual(current);
  });

  test("an unknown id is not found, and a batch names every unknown one", async () => {
    for (const id of [newId(), "no-uuid", "Ü", "a\0b"]) {
      expect(await callError(users.getUser({ id }))).toMatchObject({ code: 5, reason: "USER_NOT_FOUND", info: { ids: id } });
    }
    const unknown = Array.from({ length: 100 }, () => newId());
    const error = await callError(users.batchGetUsers({ ids: unknown }));
    expect(error).toMatchObject({ code: 5, reason: "USER_NOT_FOUND", info: { ids: unknown.join(",") } });
    const few = unknown.slice(0, 3);
    expect((await callError(users.batchGetUsers({ ids: few }))).detail).toContain(few.join(", "));
  });

  test("a list is read page by page, and wrong tokens and orders are refused", async () => {
    for (let index = 0; index < 5; index++)
      await users.createUser({ user: { name: `Page ${index}`, email: `page-${index}@example.org` } });
    const ids: string[] = [];
    let pageToken = "";
    do {
      const page = await users.listUsers({ pageSize: 2, pageToken, orderBy: "email desc" });
      ids.push(...page.users.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(ids).toEqual((await users.listUsers({ pageSize: 100, orderBy: "email desc" })).users.map(({ id }) => id));
    const { nextPageToken } = await users.listUsers({ pageSize: 2 });
    for (const request of [
      { pageToken: "garbage" },
      { pageToken: nextPageToken, orderBy: "name" },
      { pageToken: `${nextPageToken}A` },
    ]) {
      expect(await callError(users.listUsers(request))).toMatchObject({
        code: 3,
        reason: "PAGE_TOKEN_INVALID",
        domain: "user.v1",
      });
    }
    expect(await callError(users.listUsers({ orderBy: "password" }))).toMatchObject({
      code: 3,
      reason: "ORDER_BY_INVALID",
      domain: "user.v1",
    });
    expect(await callError(users.listUsers({ pageSize: -1 }))).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
  });

  test("the longest names page too", async () => {
    for (let index = 0; index < 3; index++)
      await users.createUser({ user: { name: `😀`.repeat(199) + index, email: `emoji-${index}@example.org` } });
    const first = await users.listUsers({ pageSize: 1, orderBy: "name desc" });
    const second = await users.listUsers({ pageSize: 1, orderBy: "name desc", pageToken: first.nextPageToken });
    expect(second.users[0]?.email).toBe("emoji-1@example.org");
  });

  test("the same request id with the same request gives the first answer, also after a change", async () => {
    const request = { user: { name: "Once", email: "once@example.org" }, requestId: newId() };
    const user = await users.createUser(request);
    await users.updateUser({ user: { id: user.id, name: "changed since" } });
    expect(await users.createUser(request)).toEqual(user);
    const reused = { code: 6, reason: "REQUEST_ID_REUSED", domain: "user.v1" };
    expect(await callError(users.createUser({ ...request, user: { name: "Other", email: "once@example.org" } }))).toMatchObject(
      reused,
    );
    const deletion = { id: user.id, requestId: newId() };
    await users.deleteUser(deletion);
    expect(await users.deleteUser(deletion)).toEqual({});
  });

  test("a call that failed keeps nothing under its request id", async () => {
    const blocker = await users.createUser({ user: { name: "Blocker", email: "blocked@example.org" } });
    const request = { user: { name: "Blocked", email: "blocked@example.org" }, requestId: newId() };
    expect(await callError(users.createUser(request))).toMatchObject({ reason: "EMAIL_TAKEN" });
    await users.deleteUser({ id: blocker.id });
    expect(await users.createUser(request)).toMatchObject({ name: "Blocked" });
  });

  test("200 creates at once with one request id make one user and 200 equal answers", async () => {
    const request = { user: { name: "Parallel", email: "parallel@example.org" }, requestId: newId() };
    const answers = await Promise.all(Array.from({ length: 200 }, async () => await users.createUser(request)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    const all = await users.listUsers({ pageSize: 100, orderBy: "create_time desc" });
    expect(all.users.filter(({ email }) => email === "parallel@example.org")).toEqual([answers[0]]);
  });
});
