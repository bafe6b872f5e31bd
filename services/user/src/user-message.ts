import type { User as WireUser } from "@protoloom/contracts/user/v1";
import { Code, contractViolated, MeshError } from "@protoloom/mesh";
import { resourcesNotFound, toEtag } from "@protoloom/mesh/data";
import { UserError } from "./domain/user-error.ts";
import type { UserProblem } from "./domain/user-error.ts";
import { maxNameLength, normalName } from "./domain/user.ts";
import type { User, UserFields } from "./domain/user.ts";

/** Proto package of the service: the domain of its reasons. */
export const domain = "user.v1";

/** Fields that a caller may set. */
export const writable = ["name", "email"] as const;

/** A user as it travels. */
export function toWire(user: User): WireUser {
  return {
    id: user.id,
    name: user.name,
    email: user.email,
    createTime: new Date(user.createMs),
    updateTime: new Date(user.updateMs),
    etag: toEtag(user.id, user.version),
  };
}

/** The fields to write, as they are kept. None may be empty. Problem: fields_invalid. */
export function checkFields<Field extends keyof UserFields>(
  sent: Partial<UserFields>,
  fields: readonly Field[],
): Pick<UserFields, Field> {
  const values = fields.map((field): [Field, string] => {
    const value = sent[field] ?? "";
    return [field, field === "name" ? normalName(value) : value];
  });
  const problems = values.flatMap(([field, value]) => {
    if (value === "") return [{ field, rule: "required", why: `${field} is required` }];
    if (field !== "name" || Array.from(value).length <= maxNameLength) return [];
    return [{ field, rule: "string.max_len", why: `must be at most ${maxNameLength} characters in Unicode NFC` }];
  });
  if (problems.length > 0) throw new UserError({ kind: "fields_invalid", fields: problems });
  return Object.fromEntries(values) as Pick<UserFields, Field>;
}

/** What a problem is for the caller. */
export function toMeshError(problem: UserProblem): MeshError {
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
    case "fields_invalid":
      return contractViolated(
        problem.fields.map(({ field, rule, why }) => ({ field: `user.${field}`, description: why, reason: rule })),
      );
  }
}
