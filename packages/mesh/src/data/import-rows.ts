import type { Transaction } from "kysely";
import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Database } from "./database.ts";
import { requestIdReused } from "./idempotency.ts";
import type { RepeatableMethod } from "./idempotency.ts";
import { claimRows, releaseRows } from "./idempotent-rows.ts";
import { meshTables } from "./mesh-tables.ts";

/** Limits of an import. */
export const importDefaults = {
  /** Most rows in one transaction, and in memory. */
  batchSize: 100,
  /** Most failures that the summary names. */
  maxErrors: 100,
} as const;

/** What is imported, and how one row becomes a resource. */
export interface ImportOptions<Tables, Request, Resource, Response> {
  readonly database: Database<Tables>;
  /** The method that creates one: a row is repeatable as its request would be, and gives the same answer to it. */
  readonly method: RepeatableMethod<Request, Response>;
  /** Proto package whose `Reason` has REQUEST_ID_REUSED. */
  readonly domain: string;
  /** The resource that a request would create, not stored yet. Throws MeshError for a row that cannot be created. */
  prepare(request: Request): Resource;
  /** What creating it would answer. */
  answer(resource: Resource): Response;
  /**
   * Stores those that can be stored, in the transaction, and gives them. Of two that exclude each other the first is
   * stored. It does not throw for one that cannot: on PostgreSQL that would end the others too.
   */
  insert(trx: Transaction<Tables>, resources: readonly Resource[]): Promise<ReadonlySet<Resource>>;
  /** Why one could not be stored. Left out where every one can. */
  refused?(resource: Resource): MeshError;
  readonly clock?: Clock;
}

/** A row that could not be imported, as the contracts tell it. */
export interface ImportError {
  /** Place of the row in the stream, from 0. */
  readonly row: bigint;
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}

/** What became of an import, as the contracts tell it. */
export interface ImportSummary {
  readonly rowCount: bigint;
  readonly importedCount: bigint;
  readonly failedCount: bigint;
  /** The first 100, in the order of the rows. */
  readonly errors: ImportError[];
}

interface ImportFailure {
  readonly row: number;
  readonly error: MeshError;
}

/** A row that can be tried. */
interface Candidate<Request, Resource> {
  readonly row: number;
  readonly request: Request;
  readonly resource: Resource;
}

/**
 * Creates a resource for each row of a stream; one that cannot be created hinders no other. Up to 100 rows are stored in one
 * transaction, and no more are read before they are. An import that breaks off, whose rejection is that of the stream or the
 * database, keeps the transactions that it has committed: rows from the first on, without a gap. Which ones is only known
 * by their request ids: sent again as a whole, rows that have their resource are counted, and not created again.
 */
export async function importRows<Tables, Request extends { readonly requestId: string }, Resource, Response>(
  rows: AsyncIterable<Request>,
  options: ImportOptions<Tables, Request, Resource, Response>,
): Promise<ImportSummary> {
  const failures: ImportFailure[] = [];
  let rowCount = 0;
  let failedCount = 0;
  let batch: Candidate<Request, Resource>[] = [];
  let ids = new Set<string>();
  let failed: ImportFailure[] = [];

  const flush = async (): Promise<void> => {
    if (batch.length > 0) failed.push(...(await storeBatch(batch, options)));
    failedCount += failed.length;
    failures.push(...failed.toSorted((a, b) => a.row - b.row).slice(0, importDefaults.maxErrors - failures.length));
    batch = [];
    ids = new Set();
    failed = [];
  };
  for await (const request of rows) {
    // The second row with a request id finds what became of the first.
    if (batch.length + failed.length >= importDefaults.batchSize || ids.has(request.requestId)) await flush();
    const row = rowCount++;
    try {
      batch.push({ row, request, resource: options.prepare(request) });
      if (request.requestId !== "") ids.add(request.requestId);
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      failed.push({ row, error });
    }
  }
  await flush();
  return {
    rowCount: BigInt(rowCount),
    importedCount: BigInt(rowCount - failedCount),
    failedCount: BigInt(failedCount),
    errors: failures.map(toImportError),
  };
}

function toImportError({ row, error: { code, reason = "", detail } }: ImportFailure): ImportError {
  return { row: BigInt(row), code, reason, message: detail };
}

/** Stores rows in one transaction, and gives those that failed. */
async function storeBatch<Tables, Request extends { readonly requestId: string }, Resource, Response>(
  batch: readonly Candidate<Request, Resource>[],
  options: ImportOptions<Tables, Request, Resource, Response>,
): Promise<readonly ImportFailure[]> {
  const { database, method, clock = systemClock } = options;
  const refusal = (resource: Resource): MeshError => {
    if (options.refused === undefined) throw new Error("a row was not stored, and nobody says why");
    return options.refused(resource);
  };
  const repeatable = batch
    .filter(({ request }) => request.requestId !== "")
    .map(({ request, resource }) => ({
      key: request.requestId,
      request: method.requestSerialize(request),
      response: method.responseSerialize(options.answer(resource)),
    }));
  return await database.transaction(async (trx) => {
    const db = meshTables(trx);
    const claims = await claimRows(db, { method: method.path, rows: repeatable, nowMs: clock.now() });
    const fresh = batch.filter(({ request: { requestId } }) => requestId === "" || claims.get(requestId) === "new");
    const stored =
      fresh.length === 0
        ? new Set()
        : await options.insert(
            trx,
            fresh.map(({ resource }) => resource),
          );
    const refused = fresh.filter(({ resource }) => !stored.has(resource));
    const released = refused.map(({ request }) => request.requestId).filter((id) => id !== "");
    await releaseRows(db, method.path, released);
    return [
      ...refused.map(({ row, resource }) => ({ row, error: refusal(resource) })),
      ...batch
        .filter(({ request: { requestId } }) => claims.get(requestId) === "other")
        .map(({ row, request }) => ({ row, error: requestIdReused(request.requestId, options.domain) })),
    ];
  });
}
