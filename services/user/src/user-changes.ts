import { User as UserMessage } from "@protoloom/contracts/user/v1";
import type { User as WireUser, WatchUsersResponse } from "@protoloom/contracts/user/v1";
import type { NewChange, WatchStep } from "@protoloom/mesh/data";
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

/** A step of a watch as WatchUsers sends it. */
export function toWatchResponse(step: WatchStep): WatchUsersResponse {
  switch (step.kind) {
    case "existing":
      return { change: { $case: "existing", value: UserMessage.decode(step.row) }, resumeToken: "" };
    case "snapshotEnd":
      return { change: { $case: "snapshotEnd", value: {} }, resumeToken: step.resumeToken };
    case "heartbeat":
      return { change: { $case: "heartbeat", value: {} }, resumeToken: step.resumeToken };
    case "change":
      return { change: changeOf(step.change.type, UserMessage.decode(step.change.payload)), resumeToken: step.resumeToken };
  }
}

/** A type that this version does not know is sent as no kind at all, and so can be passed over; its token counts. */
function changeOf(type: string, value: WireUser): WatchUsersResponse["change"] {
  return type === "created" || type === "updated" || type === "deleted" ? { $case: type, value } : undefined;
}
