import { seededRandom } from "@protoloom/mesh/process";
import type { Clock } from "@protoloom/mesh";
import { type DemoProduct, demoProducts, demoUsers } from "./demo-data.ts";
import type { Progress } from "./demo-progress.ts";
import { type EdgeClient, createEdgeClient } from "./edge-client.ts";

/** How much demo data there is. */
export const demoCounts = { users: 200, products: 1_000 } as const;

/** What filling needs. */
export interface DemoOptions {
  readonly clock: Pick<Clock, "sleep">;
  readonly report: (part: string, done: number, total: number) => void;
  /** Ends it; what was sent stays. */
  readonly signal: AbortSignal;
}

/** What was added, and not there before. */
export interface DemoResult {
  readonly users: number;
  readonly products: number;
}

/** Rows of one import call: enough to be fast, few enough to show progress. */
const chunkSize = 50;
/** Calls of stock at a time. */
const concurrency = 16;
const seed = 2_026;

/**
 * Fills a mesh with the demo data, through its public API. What is there already is left as it is: users are found by their
 * address, products by their name. Every row and every delivery carries a request id, so a start that broke off is carried on.
 * Rejects with the first failure.
 */
export async function addDemoData(edgeUrl: string, options: DemoOptions): Promise<DemoResult> {
  const edge = createEdgeClient(edgeUrl, options);
  const users = await addMissing(edge, {
    ...options,
    resource: "user",
    key: ({ email }) => email,
    rows: demoUsers(demoCounts.users, seededRandom(seed)),
  });
  const all = demoProducts(demoCounts.products, seededRandom(seed));
  const products = await addMissing(edge, {
    ...options,
    resource: "product",
    key: ({ name }) => name,
    rows: all.map(({ stock: _stock, ...product }) => product),
  });
  await addStock(edge, { ...options, products: all, ...products });
  return { users: users.added.size, products: products.added.size };
}

/** What filling a mesh that starts takes from `up`. */
export interface FillOptions {
  readonly clock: Pick<Clock, "sleep" | "monotonicMs">;
  /** Says a line to the user. */
  readonly say: (text: string) => void;
  /** Default: none is shown. */
  readonly progress?: Progress;
  readonly stop: AbortSignal;
}

/** Fills a mesh and tells the user what came of it. Never rejects: a mesh without all of the data is still one to use. */
export async function fillWithDemoData(edgeUrl: string, { clock, say, progress, stop }: FillOptions): Promise<void> {
  const startedMs = clock.monotonicMs();
  const report = progress?.report ?? (() => {});
  let outcome: string;
  try {
    const { users, products } = await addDemoData(edgeUrl, { clock, report, signal: stop });
    const seconds = ((clock.monotonicMs() - startedMs) / 1_000).toFixed(1);
    outcome =
      users + products === 0
        ? "the demo data is there already"
        : `demo data: ${users} users and ${products.toLocaleString("en")} products added in ${seconds} s`;
  } catch (error) {
    outcome = `the demo data is not complete: ${error instanceof Error ? error.message : String(error)}`;
  }
  progress?.end();
  if (!stop.aborted) say(`protoloom: ${outcome}`);
}

interface Missing<Row extends object> extends DemoOptions {
  readonly resource: "user" | "product";
  readonly rows: readonly Row[];
  /** What tells a row from the others, in the service too. */
  readonly key: (row: Row) => string;
}

/** A collection with the demo data: its ids by key, and the keys that are there since this start. */
interface Added {
  readonly ids: ReadonlyMap<string, string>;
  readonly added: ReadonlySet<string>;
}

/** Imports the rows that the service does not have. */
async function addMissing<Row extends object>(edge: EdgeClient, { resource, rows, key, report }: Missing<Row>): Promise<Added> {
  const path = `/v1/${resource}s`;
  const before = await idsByKey(edge, resource, key);
  const missing = rows.map((row, index) => ({ row, index })).filter(({ row }) => !before.has(key(row)));
  let done = rows.length - missing.length;
  report(`${resource}s`, done, rows.length);
  for (let start = 0; start < missing.length; start += chunkSize) {
    const chunk = missing.slice(start, start + chunkSize);
    await edge.import(
      path,
      chunk.map(({ row, index }) => ({ [resource]: row, requestId: `demo-${resource}-${index}` })),
    );
    done += chunk.length;
    report(`${resource}s`, done, rows.length);
  }
  // What somebody has deleted, or renamed, stays so for a day: its request id only gives the first answer again.
  const ids = missing.length === 0 ? before : await idsByKey(edge, resource, key);
  return { ids, added: new Set(missing.map(({ row }) => key(row)).filter((known) => ids.has(known))) };
}

async function idsByKey<Row extends object>(
  edge: EdgeClient,
  resource: string,
  key: (row: Row) => string,
): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  for await (const row of edge.list(`/v1/${resource}s`, `${resource}s`)) ids.set(key(row as Row), row["id"] as string);
  return ids;
}

interface Deliveries extends DemoOptions, Added {
  readonly products: readonly DemoProduct[];
}

/** Delivers the stock of the products that never had any. The last one goes last: once it has its stock, all have theirs. */
async function addStock(edge: EdgeClient, { products, ids, added, report }: Deliveries): Promise<void> {
  const rows = products.flatMap(({ name, stock }, index) => {
    const id = ids.get(name);
    return id === undefined ? [] : [{ name, path: `/v1/products/${id}/stock`, stock, requestId: `demo-stock-${index}` }];
  });
  const hasStock = async (path: string): Promise<boolean> => (await edge.get(path))["updateTime"] !== undefined;
  const last = rows.pop();
  if (last === undefined || (added.size === 0 && (await hasStock(last.path)))) return;
  let done = 0;
  const deliver = async ({ name, path, stock, requestId }: typeof last): Promise<void> => {
    if (added.has(name) || !(await hasStock(path)))
      await edge.post(`${path}:adjust`, { delta: String(stock), reason: "first delivery of the demo data", requestId });
    done += 1;
    report("products with stock", done, rows.length + 1);
  };
  const queue = rows.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const row of queue) await deliver(row);
    }),
  );
  await deliver(last);
}
