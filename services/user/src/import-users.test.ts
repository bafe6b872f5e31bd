import type { User } from "@protoloom/contracts/user/v1";
import { callError } from "@protoloom/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../tools/databases.ts";
import { startUsers } from "./test-rig/start-users.ts";
import type { Users } from "./test-rig/start-users.ts";

interface Row {
  readonly user?: Partial<User>;
  readonly requestId?: string;
}

const minute = { timeoutMs: 60_000 };

/** A row that is good, or, of ten, one that is wrong in one of five ways; with a request id. */
function mixedRow(index: number): Row {
  const good = { name: `Row ${index}`, email: `row-${index}@example.org` };
  const requestId = `row-${index}`;
  if (index % 10 !== 9) return { user: good, requestId };
  switch (Math.floor(index / 10) % 5) {
    case 0:
      return { user: { name: good.name }, requestId };
    case 1:
      return { user: { ...good, email: "no address" }, requestId };
    case 2:
      return { user: { ...good, name: "x".repeat(201) }, requestId };
    case 3:
      return { user: { ...good, email: `ROW-${index - 1}@example.org` }, requestId };
    default:
      return { user: good, requestId: `row-${index - 1}` };
  }
}

async function allEmails(users: Users): Promise<readonly string[]> {
  const emails: string[] = [];
  let pageToken = "";
  do {
    const page = await users.listUsers({ pageSize: 100, pageToken });
    emails.push(...page.users.map(({ email }) => email));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return emails;
}

describeOnEachEngine("ImportUsers", (newPlace) => {
  const resources = new AsyncDisposableStack();
  let users: Users;

  beforeAll(async () => {
    users = await startUsers(resources.use(newPlace("user")), resources);
  });
  afterAll(async () => await resources.disposeAsync());

  test(
    "imports 10,000 rows, names the first 100 that are wrong, and makes no second user of a row",
    { timeout: 60_000 },
    async () => {
      const rows = Array.from({ length: 10_000 }, (_, index) => mixedRow(index));
      const summary = await users.importUsers(rows, minute);
      expect(summary).toMatchObject({ rowCount: 10_000n, importedCount: 9_000n, failedCount: 1_000n });
      expect(summary.errors.map(({ row }) => row)).toEqual(Array.from({ length: 100 }, (_, index) => BigInt(index * 10 + 9)));
      expect(summary.errors.slice(0, 5).map(({ code, reason, message }) => [code, reason, message])).toEqual([
        [3, "CONTRACT_VIOLATED", "user.email: email is required"],
        [3, "CONTRACT_VIOLATED", "user.email: must be a valid email address"],
        [3, "CONTRACT_VIOLATED", "user.name: must be at most 200 characters"],
        [6, "EMAIL_TAKEN", "another user has this e-mail address"],
        [6, "REQUEST_ID_REUSED", 'request_id "row-48" was used for another request'],
      ]);
      const emails = await allEmails(users);
      expect(emails).toHaveLength(9_000);
      expect(new Set(emails)).toEqual(new Set(rows.filter((_, index) => index % 10 !== 9).map(({ user }) => user?.email)));
      expect(await users.importUsers(rows, minute)).toEqual(summary);
      expect(await allEmails(users)).toHaveLength(9_000);
    },
  );

  test("an empty import is none, and a row without anything is an error of that row", async () => {
    expect(await users.importUsers([])).toEqual({ rowCount: 0n, importedCount: 0n, failedCount: 0n, errors: [] });
    const summary = await users.importUsers([{}, { user: { name: "Only", email: "only@example.org" } }]);
    expect(summary).toMatchObject({ rowCount: 2n, importedCount: 1n, failedCount: 1n });
    expect(summary.errors).toEqual([{ row: 0n, code: 3, reason: "CONTRACT_VIOLATED", message: "user: value is required" }]);
  });

  test("of two rows with one address the first counts; one that failed leaves its request id free", async () => {
    const user = (name: string, email: string): Partial<User> => ({ name, email });
    const summary = await users.importUsers([
      { user: user("first", "twin@example.org") },
      { user: user("second", "TWIN@example.org"), requestId: "second" },
      { user: user("third", "third@example.org"), requestId: "second" },
      { user: user("third", "third@example.org"), requestId: "second" },
      { user: user("long", "long@example.org"), requestId: "x".repeat(129) },
    ]);
    expect(summary).toMatchObject({ rowCount: 5n, importedCount: 3n, failedCount: 2n });
    expect(summary.errors.map(({ row, reason }) => [row, reason])).toEqual([
      [1n, "EMAIL_TAKEN"],
      [4n, "CONTRACT_VIOLATED"],
    ]);
    expect((await allEmails(users)).filter((email) => /^(?:twin|third)@/i.test(email))).toEqual([
      "twin@example.org",
      "third@example.org",
    ]);
  });

  test("a row and a create share their request ids", async () => {
    const request = { user: { name: "Shared", email: "shared@example.org" }, requestId: "shared" };
    const created = await users.createUser(request);
    expect(await users.importUsers([request])).toMatchObject({ importedCount: 1n, failedCount: 0n });
    const other = { user: { name: "Imported", email: "imported@example.org" }, requestId: "imported" };
    await users.importUsers([other]);
    expect(await users.createUser(other)).toEqual(await users.getUser({ id: (await users.createUser(other)).id }));
    expect(await users.getUser({ id: created.id })).toEqual(created);
  });

  test("five imports of the same rows at once make each user once", { timeout: 60_000 }, async () => {
    const rows = Array.from({ length: 500 }, (_, index) => ({
      user: { name: "Race", email: `race-${index}@example.org` },
      requestId: `race-${index}`,
    }));
    const summaries = await Promise.all(
      [0, 1, 2, 3, 4].map(async (turn) => await users.importUsers(turn % 2 === 0 ? rows : rows.toReversed(), minute)),
    );
    for (const summary of summaries) expect(summary).toMatchObject({ importedCount: 500n, failedCount: 0n });
    expect((await allEmails(users)).filter((email) => email.startsWith("race-"))).toHaveLength(500);
  });

  test("an import that breaks off keeps a beginning, and can be sent again as a whole", async () => {
    const rows = Array.from({ length: 1_000 }, (_, index) => ({
      user: { name: "Broken", email: `broken-${index}@example.org` },
      requestId: `broken-${index}`,
    }));
    const breaking = async function* (): AsyncGenerator<Row> {
      yield* rows.slice(0, 450);
      // Until four batches are there; the fifth is not full.
      while ((await allEmails(users)).filter((email) => email.startsWith("broken-")).length < 400) {
        /* looks again */
      }
      throw new Error("the file cannot be read");
    };
    await expect(users.importUsers(breaking(), minute)).rejects.toThrow("the file cannot be read");
    const kept = (await allEmails(users)).filter((email) => email.startsWith("broken-"));
    expect(new Set(kept)).toEqual(new Set(rows.slice(0, 400).map(({ user }) => user.email)));
    expect(await users.importUsers(rows, minute)).toMatchObject({ rowCount: 1_000n, importedCount: 1_000n, failedCount: 0n });
    expect((await allEmails(users)).filter((email) => email.startsWith("broken-"))).toHaveLength(1_000);
  });

  test("what is imported is watched", async () => {
    const watching = users.watchUsers({})[Symbol.asyncIterator]();
    let message = await watching.next();
    while ((message.value as { change?: { $case: string } }).change?.$case !== "snapshotEnd") message = await watching.next();
    await users.importUsers([{ user: { name: "Watched", email: "watched@example.org" } }]);
    expect((await watching.next()).value).toMatchObject({ change: { $case: "created", value: { name: "Watched" } } });
    await watching.return?.();
  });

  test("a deadline that passes ends it", async () => {
    const endless = async function* (): AsyncGenerator<Row> {
      yield { user: { name: "Late", email: "late@example.org" } };
      await new Promise(() => {});
    };
    expect(await callError(users.importUsers(endless(), { timeoutMs: 100 }))).toMatchObject({ code: 4 });
  });
});
