import type { Clock } from "@protoloom/mesh";
import { fromEtag, isId, parseOrderBy, readPage } from "@protoloom/mesh/data";
import type { Database, PageTokens } from "@protoloom/mesh/data";
import type { Selectable, Transaction } from "kysely";
import { UserError } from "../domain/user-error.ts";
import { emailKey } from "../domain/user.ts";
import type { User, UserFields } from "../domain/user.ts";
import type { UserTables } from "./migrations.ts";

/** Which page of which list. */
export interface ListUsersQuery {
  readonly pageSize: number;
  readonly pageToken: string;
  readonly orderBy: string;
}

/** What happened to a user: as it became, or as it last was. */
export interface UserChange {
  readonly type: "created" | "updated" | "deleted";
  readonly user: User;
}

/** Keeps the users. What changes them runs in a transaction of the caller, who stores more beside it. */
export interface UserStore {
  /** Problem: email_taken. */
  create(trx: Transaction<UserTables>, fields: UserFields): Promise<User>;
  /** The user that a create would make; nothing is stored. */
  prepare(fields: UserFields): User;
  /** Stores users that were prepared. Gives those whose e-mail address was free; of two with one address the first. */
  insert(trx: Transaction<UserTables>, users: readonly User[]): Promise<ReadonlySet<User>>;
  /** Problem: not_found. */
  get(id: string): Promise<User>;
  /** The users in the order of the ids, all or none. Problem: not_found, with every id that no user has. */
  getAll(ids: readonly string[]): Promise<readonly User[]>;
  /** All users of a view, in the order of their ids, read a page at a time. */
  readAll(view: Database<UserTables>["read"]): AsyncIterable<User>;
  /** Throws MeshError for an order or a token that is none. */
  list(query: ListUsersQuery): Promise<{ readonly users: readonly User[]; readonly nextPageToken: string }>;
  /** Changes the given fields; without any it reads. An etag that is not empty has to fit. Problems: not_found, etag_mismatch, email_taken. */
  update(
    trx: Transaction<UserTables>,
    id: string,
    change: { readonly fields: Partial<UserFields>; readonly etag: string },
  ): Promise<User>;
  /** Problems: not_found, etag_mismatch. */
  delete(trx: Transaction<UserTables>, id: string, etag: string): Promise<void>;
}

/** What a store is made of. */
export interface UserStoreOptions {
  readonly database: Database<UserTables>;
  readonly tokens: PageTokens;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Keeps what has happened, in the same transaction. */
  readonly record: (trx: Transaction<UserTables>, changes: readonly UserChange[]) => Promise<void>;
}

/** Users that a page of `readAll` has. */
const readSize = 500;

type Row = Selectable<UserTables["users"]>;

/** Columns by the fields that `order_by` may name. */
const orderFields = { create_time: "create_ms", update_time: "update_ms", name: "name", email: "email_key" };

/** A store over a database of either engine. */
export function createUserStore(options: UserStoreOptions): UserStore {
  const { database, tokens, record } = options;
  const prepare = (fields: UserFields): User => newUser(fields, options);
  const insert: UserStore["insert"] = async (trx, users) => await insertUsers(trx, users, record);
  return {
    prepare,
    insert,
    async create(trx, fields) {
      const user = prepare(fields);
      if (!(await insert(trx, [user])).has(user)) throw new UserError({ kind: "email_taken" });
      return user;
    },
    async *readAll(view) {
      for (let last = ""; ;) {
        const rows = await view.selectFrom("users").selectAll().where("id", ">", last).orderBy("id").limit(readSize).execute();
        for (const row of rows) yield fromRow(row);
        if (rows.length < readSize) return;
        last = rows.at(-1)?.id ?? "";
      }
    },
    async get(id) {
      const row = isId(id)
        ? await database.read.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst()
        : undefined;
      if (row === undefined) throw new UserError({ kind: "not_found", ids: [id] });
      return fromRow(row);
    },
    async getAll(ids) {
      const asked = [...new Set(ids)];
      const possible = asked.filter(isId);
      const rows =
        possible.length === 0 ? [] : await database.read.selectFrom("users").selectAll().where("id", "in", possible).execute();
      const found = new Map(rows.map((row) => [row.id, fromRow(row)]));
      const unknown = asked.filter((id) => !found.has(id));
      if (unknown.length > 0) throw new UserError({ kind: "not_found", ids: unknown });
      return ids.flatMap((id) => found.get(id) ?? []);
    },
    async list({ pageSize, pageToken, orderBy }) {
      const order = parseOrderBy(orderBy, { fields: orderFields, fallback: "create_time", domain: "user.v1" });
      const page = await readPage(database.read.selectFrom("users").selectAll(), tokens, {
        pageSize,
        pageToken,
        order,
        filters: "ListUsers",
      });
      return { users: page.rows.map(fromRow), nextPageToken: page.nextPageToken };
    },
    update: async (trx, id, change) => await updateUser(trx, id, { ...change, ...options }),
    async delete(trx, id, etag) {
      if (!isId(id)) throw new UserError({ kind: "not_found", ids: [id] });
      const deleted = await trx
        .deleteFrom("users")
        .where("id", "=", id)
        .$if(etag !== "", (guarded) => guarded.where("version", "=", fromEtag(id, etag) ?? 0))
        .returningAll()
        .executeTakeFirst();
      await record(trx, [{ type: "deleted", user: fromRow(deleted ?? (await refuse(trx, id))) }]);
    },
  };
}

function newUser({ name, email }: UserFields, { clock, newId }: UserStoreOptions): User {
  const nowMs = clock.now();
  return { id: newId(), name, email, createMs: nowMs, updateMs: nowMs, version: 1 };
}

async function insertUsers(
  trx: Transaction<UserTables>,
  users: readonly User[],
  record: UserStoreOptions["record"],
): Promise<ReadonlySet<User>> {
  const rows = await trx
    .insertInto("users")
    .values(users.map(toRow).toSorted(byEmailKey))
    .onConflict((conflict) => conflict.column("email_key").doNothing())
    .returning("id")
    .execute();
  const ids = new Set(rows.map(({ id }) => id));
  const stored = users.filter(({ id }) => ids.has(id));
  await record(
    trx,
    stored.map((user) => ({ type: "created", user })),
  );
  return new Set(stored);
}

async function updateUser(
  trx: Transaction<UserTables>,
  id: string,
  { fields, etag, database, clock, record }: UserStoreOptions & { readonly fields: Partial<UserFields>; readonly etag: string },
): Promise<User> {
  if (!isId(id)) throw new UserError({ kind: "not_found", ids: [id] });
  const version = etag === "" ? undefined : (fromEtag(id, etag) ?? 0);
  if (Object.keys(fields).length === 0) {
    const read = trx.selectFrom("users").selectAll().where("id", "=", id);
    const row = await (version === undefined ? read : read.where("version", "=", version)).executeTakeFirst();
    return fromRow(row ?? (await refuse(trx, id)));
  }
  const { email } = fields;
  const update = trx
    .updateTable("users")
    .set((column) => ({
      ...fields,
      ...(email === undefined ? {} : { email_key: emailKey(email) }),
      update_ms: clock.now(),
      version: column("version", "+", 1),
    }))
    .where("id", "=", id)
    .$if(version !== undefined, (guarded) => guarded.where("version", "=", version ?? 0))
    .returningAll();
  const row = await update.executeTakeFirst().catch((error: unknown) => {
    // The transaction is lost on PostgreSQL, and rolls back on both.
    throw database.classify(error).kind === "unique" ? new UserError({ kind: "email_taken" }) : error;
  });
  const user = fromRow(row ?? (await refuse(trx, id)));
  await record(trx, [{ type: "updated", user }]);
  return user;
}

/** Why a guarded statement met no row. */
async function refuse(trx: Transaction<UserTables>, id: string): Promise<never> {
  const row = await trx.selectFrom("users").select("id").where("id", "=", id).executeTakeFirst();
  throw new UserError(row === undefined ? { kind: "not_found", ids: [id] } : { kind: "etag_mismatch", id });
}

function toRow({ id, name, email, createMs, updateMs, version }: User): Row {
  return { id, name, email, email_key: emailKey(email), create_ms: createMs, update_ms: updateMs, version };
}

/** In one order for everybody, so that two who insert several do not deadlock. It keeps the order of equal ones. */
function byEmailKey(a: Row, b: Row): number {
  if (a.email_key === b.email_key) return 0;
  return a.email_key < b.email_key ? -1 : 1;
}

function fromRow(row: Row): User {
  return { id: row.id, name: row.name, email: row.email, createMs: row.create_ms, updateMs: row.update_ms, version: row.version };
}
