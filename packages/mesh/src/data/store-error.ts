import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Database } from "./database.ts";

/**
 * The error of a call whose database cannot be reached or is too busy: UNAVAILABLE (STORE_UNAVAILABLE of `domain`), with the
 * database's error as its cause. Any other error is given back as it is.
 */
export function toStoreError<Tables>(database: Database<Tables>, error: unknown, domain: string): unknown {
  switch (database.classify(error).kind) {
    case "unavailable":
      return new MeshError(Code.UNAVAILABLE, "the database cannot be reached", {
        reason: "STORE_UNAVAILABLE",
        domain,
        cause: error,
      });
    case "busy":
    case "conflict":
      return new MeshError(Code.UNAVAILABLE, "the database is too busy", { reason: "STORE_UNAVAILABLE", domain, cause: error });
    case "unique":
    case "other":
      return error;
  }
}
