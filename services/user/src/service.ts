import { UserService } from "@protoloom/contracts";
import type { User as WireUser } from "@protoloom/contracts/user/v1";
import { implement } from "@protoloom/mesh";
import type { Clock, Implementation } from "@protoloom/mesh";
import { readUpdateMask, toWatchMessage, watchChanges } from "@protoloom/mesh/data";
import type { ChangeLog, Database, Idempotency } from "@protoloom/mesh/data";
import { UserError } from "./domain/user-error.ts";
import { createUserImport } from "./import-users.ts";
import type { UserTables } from "./store/migrations.ts";
import type { UserStore } from "./store/user-store.ts";
import { fromBytes, toBytes, userType } from "./user-changes.ts";
import { checkFields, domain, toMeshError, toWire, writable } from "./user-message.ts";

const { definition } = UserService;
const outputOnly = ["id", "create_time", "update_time", "etag"];

/** What the service is made of. */
export interface UserServiceOptions {
  readonly database: Database<UserTables>;
  readonly store: UserStore;
  readonly changes: ChangeLog<UserTables>;
  readonly idempotency: Idempotency<UserTables>;
  /** What a failure of the database becomes for the caller. */
  readonly toStoreError: (error: unknown) => unknown;
  readonly clock: Clock;
}

/** The user service between the wire and its store. */
export function createUserService(options: UserServiceOptions): Implementation {
  const { database, store, changes, idempotency, clock } = options;
  const toCallError = (error: unknown): unknown =>
    error instanceof UserError ? toMeshError(error.problem) : options.toStoreError(error);
  const answer = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw toCallError(error);
    }
  };
  const importUsers = createUserImport(database, store);
  const snapshot = async function* (view: Database<UserTables>["read"]): AsyncGenerator<Uint8Array> {
    for await (const user of store.readAll(view)) yield toBytes(user);
  };
  return implement(UserService, {
    createUser: async (request) =>
      await answer(async () => {
        const fields = checkFields(request.user ?? {}, writable);
        return await idempotency.run(definition.createUser, request, async (trx) => toWire(await store.create(trx, fields)));
      }),
    getUser: async ({ id }) => await answer(async () => toWire(await store.get(id))),
    batchGetUsers: async ({ ids }) => await answer(async () => ({ users: (await store.getAll(ids)).map(toWire) })),
    listUsers: async (request) =>
      await answer(async () => {
        const { users, nextPageToken } = await store.list(request);
        return { users: users.map(toWire), nextPageToken };
      }),
    updateUser: async (request) =>
      await answer(async () => {
        const { id = "", etag = "", ...sent }: Partial<WireUser> = request.user ?? {};
        const isSet = (field: (typeof writable)[number]): boolean => (sent[field] ?? "") !== "";
        const fields = checkFields(sent, readUpdateMask(request.updateMask, { writable, outputOnly, isSet, domain }));
        return await idempotency.run(definition.updateUser, request, async (trx) =>
          toWire(await store.update(trx, id, { fields, etag })),
        );
      }),
    deleteUser: async (request) =>
      await answer(
        async () =>
          await idempotency.run(definition.deleteUser, request, async (trx) => {
            await store.delete(trx, request.id, request.etag);
            return {};
          }),
      ),
    async *watchUsers({ resumeToken }, { signal }) {
      try {
        for await (const step of watchChanges(changes, { resumeToken, aggregateType: userType, snapshot, signal, clock })) {
          yield toWatchMessage(step, fromBytes);
        }
      } catch (error) {
        throw toCallError(error);
      }
    },
    importUsers: async (rows) => await answer(async () => await importUsers(rows)),
  });
}
