import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { Transaction } from "kysely";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import type { Logger } from "../base/logger.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Database } from "./database.ts";
import { meshTables } from "./mesh-tables.ts";
import type { MeshTables } from "./mesh-tables.ts";
import { startSweep } from "./sweep.ts";

/** How long answers are kept, and how they are removed. */
export const idempotencyDefaults = {
  /** How long an answer is kept, in ms: 24 hours (AIP-155). */
  ttlMs: 86_400_000,
  /** How often expired answers are removed, in ms: 10 minutes. */
  sweepIntervalMs: 600_000,
  /** Most answers that one statement removes. */
  sweepBatch: 500,
} as const;

/** A method of a contract, as ts-proto describes it: what is needed to keep its answers. */
export interface RepeatableMethod<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseSerialize: (response: Response) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** Runs calls that carry a request id once. Disposing it ends the sweep. */
export interface Idempotency<Tables> extends AsyncDisposable {
  /**
   * Runs `work` in a transaction and keeps its answer there under (method, request id), so that effect and answer are stored
   * together or not at all. The same request again gives the first answer; while the first one runs, the second waits for
   * it. Another request with the same id is ALREADY_EXISTS (REQUEST_ID_REUSED). A call that fails keeps nothing: its id may
   * be used again. Without a request id it is a transaction and no more.
   */
  run<Request extends { readonly requestId: string }, Response>(
    method: RepeatableMethod<Request, Response>,
    request: Request,
    work: (trx: Transaction<Tables>) => Promise<Response>,
  ): Promise<Response>;
  /** Removes expired answers. Runs by itself as well. */
  sweep(): Promise<void>;
}

/** Settings of `createIdempotency`. */
export interface IdempotencyOptions {
  /** Proto package whose `Reason` has REQUEST_ID_REUSED. */
  readonly domain: string;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** Keeps the answers of a service in its own database. */
export function createIdempotency<Tables>(database: Database<Tables>, options: IdempotencyOptions): Idempotency<Tables> {
  const { domain, logger, clock = systemClock } = options;
  const sweep = async (): Promise<void> => await removeExpired(database, clock);
  const sweeping = startSweep({
    sweep,
    intervalMs: idempotencyDefaults.sweepIntervalMs,
    failure: "expired request ids could not be removed",
    logger,
    clock,
  });
  return {
    async run(method, request, work) {
      if (request.requestId === "") return await database.transaction(work);
      return await database.transaction(async (trx) => {
        const entry = { method: method.path, key: request.requestId, hash: hashOf(method.requestSerialize(request)) };
        const kept = await claim(meshTables(trx), entry, clock.now());
        if (kept !== undefined) {
          if (kept.hash === entry.hash) return method.responseDeserialize(kept.response);
          throw requestIdReused(entry.key, domain);
        }
        const response = await work(trx);
        await keep(meshTables(trx), entry, method.responseSerialize(response));
        return response;
      });
    },
    sweep,
    [Symbol.asyncDispose]: async () => await sweeping[Symbol.asyncDispose](),
  };
}

interface Entry {
  readonly method: string;
  readonly key: string;
  readonly hash: string;
}

/** The error of a request id that came with another request before. */
export function requestIdReused(requestId: string, domain: string): MeshError {
  return new MeshError(Code.ALREADY_EXISTS, `request_id ${JSON.stringify(requestId)} was used for another request`, {
    reason: "REQUEST_ID_REUSED",
    domain,
  });
}

/** Everybody is one principal until calls carry one. */
export const principal = "";

/** What tells one request from another. */
export function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("base64url");
}

/**
 * Takes a request id, or gives what is kept under it. On PostgreSQL the insert waits while another transaction holds the
 * same id. An expired entry is taken over by the same statement.
 */
async function claim(
  db: Transaction<MeshTables>,
  { method, key, hash }: Entry,
  nowMs: number,
): Promise<{ readonly hash: string; readonly response: Buffer } | undefined> {
  const expires = nowMs + idempotencyDefaults.ttlMs;
  const taken = await db
    .insertInto("mesh_idempotency")
    .values({ principal, method, key, request_hash: hash, response: null, expires_ms: expires })
    .onConflict((conflict) =>
      conflict
        .columns(["principal", "method", "key"])
        .doUpdateSet({ request_hash: hash, response: null, expires_ms: expires })
        .where("mesh_idempotency.expires_ms", "<=", nowMs),
    )
    .returning("key")
    .executeTakeFirst();
  if (taken !== undefined) return undefined;
  const kept = await entryOf(
    db.selectFrom("mesh_idempotency").select(["request_hash", "response"]),
    method,
    key,
  ).executeTakeFirstOrThrow();
  // An answer without bytes, such as Empty, may read back as NULL.
  return { hash: kept.request_hash, response: Buffer.from(kept.response ?? []) };
}

async function keep(db: Transaction<MeshTables>, { method, key }: Entry, response: Buffer): Promise<void> {
  await entryOf(db.updateTable("mesh_idempotency").set({ response }), method, key).execute();
}

function entryOf<Query extends { where(column: "principal" | "method" | "key", operator: "=", value: string): Query }>(
  query: Query,
  method: string,
  key: string,
): Query {
  return query.where("principal", "=", principal).where("method", "=", method).where("key", "=", key);
}

async function removeExpired<Tables>(database: Database<Tables>, clock: Clock): Promise<void> {
  const { sweepBatch } = idempotencyDefaults;
  for (;;) {
    const removed = await database.transaction(async (trx) => {
      const expired = sql`select principal, method, key from mesh_idempotency where expires_ms <= ${clock.now()} limit ${sweepBatch}`;
      const { numAffectedRows } = await sql`delete from mesh_idempotency where (principal, method, key) in (${expired})`.execute(
        trx,
      );
      return numAffectedRows ?? 0n;
    });
    if (removed < sweepBatch) return;
  }
}
