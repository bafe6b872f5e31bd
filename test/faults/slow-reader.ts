/**
 * A process that begins streams and then stops reading: 20 watches of products, or 20 baskets that are sent lines as fast
 * as they are taken. It says `stopped` once each stream has given its first message; told to go on, it reads one watch to
 * the end of its snapshot, or cancels the baskets, and says what it had.
 *
 *   node test/faults/slow-reader.ts watch|basket REGISTRY_URL [PRODUCT_ID]
 */
import { once } from "node:events";
import { InventoryService, ProductService } from "@protoloom/contracts";
import type { WatchProductsResponse } from "@protoloom/contracts/product/v1";
import { createMesh } from "@protoloom/mesh";

export const slowStreams = 20;

/** What the process says when it has gone on. */
export interface SlowReaderReport {
  /** Messages of the stream that was read on, the first included. */
  readonly received: number;
  /** Largest time that a call took which was made beside the streams, on the same connection, in ms. */
  readonly slowestCallMs: number;
}

type Kind = "watch" | "basket";

async function main(kind: Kind, registryUrl: string, productId: string): Promise<void> {
  process.on("disconnect", () => process.exit());
  await using mesh = createMesh({ registryUrl });
  const products = mesh.client(ProductService);
  const inventory = mesh.client(InventoryService);
  const leaving = new AbortController();
  const begin = (): AsyncIterator<unknown> =>
    kind === "watch"
      ? products.watchProducts({}, { signal: leaving.signal })[Symbol.asyncIterator]()
      : inventory.quoteBasket(lines(productId), { signal: leaving.signal })[Symbol.asyncIterator]();
  const streams = Array.from({ length: slowStreams }, begin);
  await Promise.all(streams.map((stream) => stream.next()));
  process.send?.("stopped");

  let slowestCallMs = 0;
  const goOn = once(process, "message");
  let isStopped = true;
  void goOn.then(() => (isStopped = false));
  while (isStopped) {
    const startedMs = performance.now();
    await products.listProducts({ pageSize: 1 });
    slowestCallMs = Math.max(slowestCallMs, performance.now() - startedMs);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  let received = 1;
  const [first] = streams;
  if (kind === "watch" && first !== undefined) {
    for (let isWhole = false; !isWhole; received++) {
      const { value } = (await first.next()) as IteratorResult<WatchProductsResponse, undefined>;
      isWhole = value === undefined || value.change?.$case === "snapshotEnd";
    }
  }
  leaving.abort();
  const report: SlowReaderReport = { received, slowestCallMs };
  process.send?.(report);
}

function* lines(productId: string): Generator<{ readonly productId: string; readonly quantity: bigint }> {
  for (;;) yield { productId, quantity: 1n };
}

if (import.meta.main) {
  const [kind, registryUrl = "", productId = ""] = process.argv.slice(2);
  await main(kind as Kind, registryUrl, productId);
}
