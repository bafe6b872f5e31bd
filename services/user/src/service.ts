import { UserService } from "@protoloom/contracts";
import type { User as WireUser } from "@protoloom/contracts/user/v1";
import { Code, contractViolated, implement, MeshError } from "@protoloom/mesh";
import type { Implementation } from "@protoloom/mesh";
import { readUpdateMask, resourcesNotFound, toEtag } from "@protoloom/mesh/data";
import type { Idempotency } from "@protoloom/mesh/data";
import { UserError } from "./domain/user-error.ts";
import type { UserProblem } from "./domain/user-error.ts";
import { maxNameLength, normalName } from "./domain/user.ts";
import type { User, UserFields } from "./domain/user.ts";
import type { UserTables } from "./store/migrations.ts";
import type { UserStore } from "./store/user-store.ts";

const domain = "user.v1";
const { definition } = UserService;
const writable = ["name", "email"] as const;
const outputOnly = ["id", "create_time", "update_time", "etag"];

/** What the service is made of. */
export interface UserServiceOptions {
  readonly store: UserStore;
  readonly idempotency: Idempotency<UserTables>;
  /** What a failure of the database becomes for the caller. */
  readonly toStoreError: (error: unknown) => unknown;
}

/** The user service between the wire and its store. */
export function createUserService({ store, idempotency, toStoreError }: UserServiceOptions): Implementation {
  const answer = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw error instanceof UserError ? toMeshError(error.problem) : toStoreError(error);
    }
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
    async *watchUsers() {
      throw new MeshError(Code.UNIMPLEMENTED, "not served yet", { reason: "UNKNOWN_METHOD" });
    },
    importUsers() {
      throw new MeshError(Code.UNIMPLEMENTED, "not served yet", { reason: "UNKNOWN_METHOD" });
    },
  });
}

/** The fields to write, as they are kept. None may be empty. */
function checkFields<Field extends keyof UserFields>(
  sent: Partial<UserFields>,
  fields: readonly Field[],
): Pick<UserFields, Field> {
  const values = fields.map((field): [Field, string] => {
    const value = field === "name" ? normalName(sent.name ?? "") : (sent[field] ?? "");
    if (value === "") throw new UserError({ kind: "field_invalid", field, rule: "required", why: `${field} is required` });
    if (field === "name" && Array.from(value).length > maxNameLength) {
      throw new UserError({
        kind: "field_invalid",
        field,
        rule: "string.max_len",
        why: `must be at most ${maxNameLength} characters in Unicode NFC`,
      });
    }
    return [field, value];
  });
  return Object.fromEntries(values) as Pick<UserFields, Field>;
}

function toWire(user: User): WireUser {
  return {
    id: user.id,
    name: user.name,
    email: user.email,
    createTime: new Date(user.createMs),
    updateTime: new Date(user.updateMs),
    etag: toEtag(user.id, user.version),
  };
}

function toMeshError(problem: UserProblem): MeshError {
  switch (problem.kind) {
    case "not_found":
      return resourcesNotFound(problem.ids, { noun: "user", reason: "USER_NOT_FOUND", domain });
    case "email_taken":
      return new MeshError(Code.ALREADY_EXISTS, "another user has this e-mail address", { reason: "EMAIL_TAKEN", domain });
    case "etag_mismatch":
      return new MeshError(Code.ABORTED, `user ${problem.id} has changed since its etag was read`, {
        reason: "ETAG_MISMATCH",
        domain,
      });
    case "field_invalid":
      return contractViolated([{ field: `user.${problem.field}`, description: problem.why, reason: problem.rule }]);
  }
}
