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

/** Keeps the users. What changes them runs in a transaction of the caller, who stores more beside it. */
export interface UserStore {
  /** Problem: email_taken. */
  create(trx: Transaction<UserTables>, fields: UserFields): Promise<User>;
  /** Problem: not_found. */
  get(id: string): Promise<User>;
  /** The users in the order of the ids, all or none. Problem: not_found, with every id that no user has. */
  getAll(ids: readonly string[]): Promise<readonly User[]>;
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
}

type Row = Selectable<UserTables["users"]>;

/** Columns by the fields that `order_by` may name. */
const orderFields = { create_time: "create_ms", update_time: "update_ms", name: "name", email: "email_key" };

/** A store over a database of either engine. */
export function createUserStore({ database, tokens, clock, newId }: UserStoreOptions): UserStore {
  return {
    async create(trx, fields) {
      const nowMs = clock.now();
      const row = await trx
        .insertInto("users")
        .values({ id: newId(), ...fields, email_key: emailKey(fields.email), create_ms: nowMs, update_ms: nowMs, version: 1 })
        .onConflict((conflict) => conflict.column("email_key").doNothing())
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) throw new UserError({ kind: "email_taken" });
      return fromRow(row);
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
    async update(trx, id, { fields, etag }) {
      if (!isId(id)) throw new UserError({ kind: "not_found", ids: [id] });
      const { email } = fields;
      const changes = { ...fields, ...(email === undefined ? {} : { email_key: emailKey(email) }) };
      const query =
        Object.keys(changes).length === 0
          ? trx
              .selectFrom("users")
              .selectAll()
              .where("id", "=", id)
              .$if(etag !== "", (read) => read.where("version", "=", fromEtag(id, etag) ?? 0))
          : trx
              .updateTable("users")
              .set((column) => ({ ...changes, update_ms: clock.now(), version: column("version", "+", 1) }))
              .where("id", "=", id)
              .$if(etag !== "", (guarded) => guarded.where("version", "=", fromEtag(id, etag) ?? 0))
              .returningAll();
      try {
        return fromRow((await query.executeTakeFirst()) ?? (await refuse(trx, id)));
      } catch (error) {
        // The transaction is lost on PostgreSQL, and rolls back on both.
        throw database.classify(error).kind === "unique" ? new UserError({ kind: "email_taken" }) : error;
      }
    },
    async delete(trx, id, etag) {
      if (!isId(id)) throw new UserError({ kind: "not_found", ids: [id] });
      const deleted = await trx
        .deleteFrom("users")
        .where("id", "=", id)
        .$if(etag !== "", (guarded) => guarded.where("version", "=", fromEtag(id, etag) ?? 0))
        .returning("id")
        .executeTakeFirst();
      if (deleted === undefined) await refuse(trx, id);
    },
  };
}

/** Why a guarded statement met no row. */
async function refuse(trx: Transaction<UserTables>, id: string): Promise<never> {
  const row = await trx.selectFrom("users").select("id").where("id", "=", id).executeTakeFirst();
  throw new UserError(row === undefined ? { kind: "not_found", ids: [id] } : { kind: "etag_mismatch", id });
}

function fromRow(row: Row): User {
  return { id: row.id, name: row.name, email: row.email, createMs: row.create_ms, updateMs: row.update_ms, version: row.version };
}
