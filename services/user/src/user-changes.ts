import { User as UserMessage } from "@protoloom/contracts/user/v1";
import type { User as WireUser } from "@protoloom/contracts/user/v1";
import type { NewChange } from "@protoloom/mesh/data";
import type { User } from "./domain/user.ts";
import type { UserChange } from "./store/user-store.ts";
import { toWire } from "./user-message.ts";

/** What the changes of users are filed under. */
export const userType = "user.v1.User";

/** A user in binary, as changes and snapshots keep it. */
export function toBytes(user: User): Uint8Array {
  return UserMessage.encode(toWire(user)).finish();
}

/** A change for the log. A deletion carries the user as it last was, and is a version of its own. */
export function toChange({ type, user }: UserChange): NewChange {
  return {
    type,
    aggregateType: userType,
    aggregateId: user.id,
    aggregateVersion: type === "deleted" ? user.version + 1 : user.version,
    payload: toBytes(user),
  };
}

/** A user of a change or a snapshot. */
export function fromBytes(bytes: Uint8Array): WireUser {
  return UserMessage.decode(bytes);
}
