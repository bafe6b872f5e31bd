import { UserService } from "@protoloom/contracts";
import type { ImportUsersRequest, ImportUsersResponse } from "@protoloom/contracts/user/v1";
import { createRequestCheck } from "@protoloom/mesh";
import { importRows } from "@protoloom/mesh/data";
import type { Database } from "@protoloom/mesh/data";
import { UserError } from "./domain/user-error.ts";
import type { UserTables } from "./store/migrations.ts";
import type { UserStore } from "./store/user-store.ts";
import { checkFields, domain, toMeshError, toWire, writable } from "./user-message.ts";

/** Imports rows: the handler of ImportUsers. A row is what CreateUser takes, under the same rules and the same request ids. */
export function createUserImport(
  database: Database<UserTables>,
  store: UserStore,
): (rows: AsyncIterable<ImportUsersRequest>) => Promise<ImportUsersResponse> {
  const check = createRequestCheck(UserService, "createUser");
  return async (rows) =>
    await importRows(rows, {
      database,
      method: UserService.definition.createUser,
      domain,
      prepare(request) {
        check(request);
        try {
          return store.prepare(checkFields(request.user ?? {}, writable));
        } catch (error) {
          throw error instanceof UserError ? toMeshError(error.problem) : error;
        }
      },
      answer: toWire,
      insert: async (trx, users) => await store.insert(trx, users),
      refused: () => toMeshError({ kind: "email_taken" }),
    });
}
