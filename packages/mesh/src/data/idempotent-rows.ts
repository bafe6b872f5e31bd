import type { Transaction } from "kysely";
import { hashOf, idempotencyDefaults, principal } from "./idempotency.ts";
import type { MeshTables } from "./mesh-tables.ts";

/** One of several requests that are handled in one transaction, and the answer that it will have if it succeeds. */
export interface RepeatableRow {
  /** Its request id, which no other row of the transaction has. */
  readonly key: string;
  readonly request: Buffer;
  readonly response: Buffer;
}

/** What a request id is: of this row, of the same request that succeeded before, or of another one. */
export type Claim = "new" | "same" | "other";

/**
 * Takes the request ids of rows in a transaction, and keeps their answers. On PostgreSQL it waits while other transactions
 * hold one of them. The ids of rows that fail after all are to be released in the same transaction.
 */
export async function claimRows(
  db: Transaction<MeshTables>,
  { method, rows, nowMs }: { readonly method: string; readonly rows: readonly RepeatableRow[]; readonly nowMs: number },
): Promise<ReadonlyMap<string, Claim>> {
  const claims = new Map<string, Claim>();
  if (rows.length === 0) return claims;
  const expires_ms = nowMs + idempotencyDefaults.ttlMs;
  const values = rows.map(({ key, request, response }) => ({
    principal,
    method,
    key,
    request_hash: hashOf(request),
    response,
    expires_ms,
  }));
  const taken = await db
    .insertInto("mesh_idempotency")
    // In one order for everybody, so that two imports of the same rows wait for each other and do not deadlock.
    .values(values.toSorted((a, b) => (a.key < b.key ? -1 : 1)))
    .onConflict((conflict) =>
      conflict
        .columns(["principal", "method", "key"])
        .doUpdateSet(({ ref }) => ({
          request_hash: ref("excluded.request_hash"),
          response: ref("excluded.response"),
          expires_ms,
        }))
        .where("mesh_idempotency.expires_ms", "<=", nowMs),
    )
    .returning("key")
    .execute();
  for (const { key } of taken) claims.set(key, "new");
  const others = values.filter(({ key }) => !claims.has(key));
  if (others.length === 0) return claims;
  const kept = await db
    .selectFrom("mesh_idempotency")
    .select(["key", "request_hash"])
    .where("principal", "=", principal)
    .where("method", "=", method)
    .where(
      "key",
      "in",
      others.map(({ key }) => key),
    )
    .execute();
  const hashes = new Map(kept.map(({ key, request_hash }) => [key, request_hash]));
  for (const { key, request_hash } of others) claims.set(key, hashes.get(key) === request_hash ? "same" : "other");
  return claims;
}

/** Forgets request ids that this transaction has taken. */
export async function releaseRows(db: Transaction<MeshTables>, method: string, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  await db
    .deleteFrom("mesh_idempotency")
    .where("principal", "=", principal)
    .where("method", "=", method)
    .where("key", "in", keys)
    .execute();
}
