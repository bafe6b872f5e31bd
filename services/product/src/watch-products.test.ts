import { ProductService } from "@protoloom/contracts";
import type { Product, WatchProductsResponse } from "@protoloom/contracts/product/v1";
import { resumeWatch } from "@protoloom/mesh";
import { eventually, observeStreams } from "@protoloom/testing";
import { expect, test } from "vitest";
import { describeOnEachEngine } from "../../../tools/databases.ts";
import { startProducts } from "./test-rig/start-products.ts";

const euro = (units: number): { currencyCode: string; units: bigint; nanos: number } => ({
  currencyCode: "EUR",
  units: BigInt(units),
  nanos: 0,
});

/** What a message tells, in short. */
function told({ change }: WatchProductsResponse): string {
  return change !== undefined && "name" in change.value ? `${change.$case} ${change.value.name}` : (change?.$case ?? "unknown");
}

describeOnEachEngine("WatchProducts and ImportProducts", (newPlace) => {
  test("a watch gives a snapshot, then each change of a product, and none of its stock", async () => {
    await using resources = new AsyncDisposableStack();
    const { products, inventory } = await startProducts(resources.use(newPlace("product")), resources);
    const lamp = await products.createProduct({ product: { name: "Lamp", price: euro(20) } });
    const watching = products.watchProducts({})[Symbol.asyncIterator]();
    const next = async (): Promise<WatchProductsResponse> => (await watching.next()).value as WatchProductsResponse;
    const snapshot = [await next(), await next()];
    expect(snapshot.map(told)).toEqual(["existing Lamp", "snapshotEnd"]);
    expect(snapshot[0]?.change?.value).toEqual(lamp);
    await inventory.adjustStock({ productId: lamp.id, delta: 5n, reason: "delivered" });
    const changed = await products.updateProduct({ product: { id: lamp.id, price: euro(25) } });
    await products.deleteProduct({ id: lamp.id });
    await products.createProduct({ product: { name: "Chair", price: euro(40) } });
    const changes = [await next(), await next(), await next()];
    await watching.return?.();
    expect(changes.map(told)).toEqual(["updated Lamp", "deleted Lamp", "created Chair"]);
    expect(changes.slice(0, 2).map(({ change }) => change?.value)).toEqual([changed, changed]);
    const steps = resumeWatch({
      watch: (resumeToken, signal) => products.watchProducts({ resumeToken }, { signal }),
      tokenOf: ({ resumeToken }) => resumeToken,
      resumeToken: changes[0]?.resumeToken ?? "",
    });
    const resumed: string[] = [];
    for await (const step of steps) {
      resumed.push(step.kind === "begin" ? "begin" : told(step.message));
      if (resumed.length === 2) break;
    }
    expect(resumed).toEqual(["deleted Lamp", "created Chair"]);
  });

  test("an import names the rows that are wrong, and makes no second product of a row", { timeout: 60_000 }, async () => {
    await using resources = new AsyncDisposableStack();
    const { products } = await startProducts(resources.use(newPlace("product")), resources);
    const wrong: readonly { product?: Partial<Product>; requestId?: string }[] = [
      {},
      { product: { name: "Free" } },
      { product: { price: euro(1) } },
      { product: { name: "Odd", price: { ...euro(1), nanos: 1 } } },
      { product: { name: "Negative", price: euro(-1) } },
      { product: { name: "Other", price: euro(1) }, requestId: "row-0" },
    ];
    const rows = Array.from({ length: 2_000 }, (_, index) => {
      const good = { product: { name: `Row ${index}`, price: euro(index) }, requestId: `row-${index}` };
      return index % 10 === 9 ? (wrong[Math.floor(index / 10) % wrong.length] ?? good) : good;
    });
    const summary = await products.importProducts(rows, { timeoutMs: 60_000 });
    expect(summary).toMatchObject({ rowCount: 2_000n, importedCount: 1_800n, failedCount: 200n });
    expect(summary.errors).toHaveLength(100);
    expect(
      summary.errors.slice(0, 6).map(({ row, code, reason, message }) => [row, code, reason, message.split(":")[0]]),
    ).toEqual([
      [9n, 3, "CONTRACT_VIOLATED", "product"],
      [19n, 3, "CONTRACT_VIOLATED", "product.price"],
      [29n, 3, "CONTRACT_VIOLATED", "product.name"],
      [39n, 3, "PRICE_INVALID", "product.price"],
      [49n, 3, "CONTRACT_VIOLATED", "product.price"],
      [59n, 6, "REQUEST_ID_REUSED", 'request_id "row-0" was used for another request'],
    ]);
    expect(await products.importProducts(rows, { timeoutMs: 60_000 })).toEqual(summary);
    let count = 0;
    for await (const message of products.watchProducts({})) {
      if (message.change?.$case === "snapshotEnd") break;
      count += 1;
    }
    expect(count).toBe(1_800);
  });

  test(
    "a reader who stops for 10 s bounds what is given out, and leaving ends the handler within 100 ms",
    { timeout: 60_000 },
    async () => {
      await using resources = new AsyncDisposableStack();
      const watches = observeStreams(ProductService.definition.watchProducts);
      const { products } = await startProducts(resources.use(newPlace("product")), resources, { observed: watches });
      const count = 2_000;
      const description = "d".repeat(5_000);
      await products.importProducts(
        Array.from({ length: count }, (_, index) => ({ product: { name: `Row ${index}`, description, price: euro(1) } })),
        { timeoutMs: 60_000 },
      );
      const leaving = new AbortController();
      const watching = products.watchProducts({}, { signal: leaving.signal })[Symbol.asyncIterator]();
      await watching.next();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const givenAtOnce = watches.messageCount;
      // What the windows of the stream and its buffers hold, about 5 kB a message: far from the 10 MB of all of them.
      expect(givenAtOnce).toBeLessThan(count / 4);
      for (let second = 0; second < 9; second++) {
        await products.createProduct({ product: { name: `Meanwhile ${second}`, price: euro(1) } });
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
      expect(watches.messageCount).toBe(givenAtOnce);
      for (let read = 1; read < count; read++) await watching.next();
      const rest: string[] = [];
      for (let index = 0; index < 10; index++) rest.push(told((await watching.next()).value as WatchProductsResponse));
      expect(rest).toEqual(["snapshotEnd", ...Array.from({ length: 9 }, (_, second) => `created Meanwhile ${second}`)]);
      const leftAtMs = performance.now();
      leaving.abort();
      const endedAtMs = await eventually(() => watches.endedAtMs, { timeoutMs: 1_000, intervalMs: 5 });
      expect(endedAtMs - leftAtMs).toBeLessThan(100);
    },
  );
});
