import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { InventoryService, ProductService } from "@protoloom/contracts";
import { createMesh } from "@protoloom/mesh";
import { type TestMesh, startMesh } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pssMb } from "../e2e/processes.ts";
import { product } from "../e2e/stack.ts";
import { type SlowReaderReport, slowStreams } from "./slow-reader.ts";

const productCount = 3_000;
/** Bytes of a product: a snapshot has 30 MB, and 20 readers are owed 600 of them. */
const productBytes = 10_000;
const stoppedMs = 10_000;
/** What either process may grow by while 20 of its streams stand still, the heap of a busy start included ... */
const boundMb = 128;
/** ... and in the second half of that time. */
const flatMb = 16;

/** The memory of a process, read again and again. */
function watchMemory(
  pid: number,
  startMb: number,
): { readonly grewMb: number; readonly lateMb: number; look(isLate: boolean): void } {
  let [mostMb, halfMb, lastMb] = [startMb, startMb, startMb];
  return {
    get grewMb() {
      return mostMb - startMb;
    },
    get lateMb() {
      return lastMb - halfMb;
    },
    look(isLate) {
      lastMb = pssMb(pid);
      if (!isLate) halfMb = lastMb;
      mostMb = Math.max(mostMb, lastMb);
    },
  };
}

describe(`${slowStreams} streams whose reader stops for ${stoppedMs / 1_000} s`, () => {
  let mesh: TestMesh;
  let productId: string;

  beforeAll(async () => {
    mesh = await startMesh({ edge: false, services: [product], env: { MESH_LOG_LEVEL: "warn" } });
    await using client = createMesh({ registryUrl: mesh.registryUrl });
    const products = client.client(ProductService);
    const made = await products.createProduct({ product: { name: "pen", price: { currencyCode: "EUR", units: 1n } } });
    productId = made.id;
    await client.client(InventoryService).adjustStock({ productId, delta: 5n, reason: "delivery" });
    const rows = Array.from({ length: productCount - 1 }, (_, index) => ({
      product: { name: `product ${index}`, description: "d".repeat(productBytes), price: made.price },
    }));
    const summary = await products.importProducts(rows, { timeoutMs: 100_000 });
    expect(summary).toMatchObject({ importedCount: BigInt(productCount - 1), failedCount: 0n });
  }, 120_000);
  afterAll(async () => mesh[Symbol.asyncDispose]());

  test.each(["watch", "basket"] as const)(
    "a %s bounds the memory of both sides, holds up no other call, and loses nothing",
    { timeout: 120_000 },
    async (kind) => {
      const server = mesh.instances("product")[0]?.pid ?? 0;
      const idleMb = pssMb(server);
      expect(idleMb).toBeGreaterThan(0);
      const reader = fork(join(import.meta.dirname, "slow-reader.ts"), [kind, mesh.registryUrl, productId], { env: {} });
      try {
        expect((await once(reader, "message"))[0]).toBe("stopped");
        const memory = { server: watchMemory(server, idleMb), reader: watchMemory(reader.pid ?? 0, pssMb(reader.pid ?? 0)) };
        const startedMs = performance.now();
        while (performance.now() - startedMs < stoppedMs) {
          await delay(250);
          for (const one of [memory.server, memory.reader]) one.look(performance.now() - startedMs > stoppedMs / 2);
        }
        const reported = once(reader, "message");
        reader.send("go on");
        const { received, slowestCallMs } = (await reported)[0] as SlowReaderReport;
        const mb = Object.entries(memory).map(
          ([side, { grewMb, lateMb }]) => `${side} +${grewMb.toFixed(0)} (late ${lateMb.toFixed(0)}) MB`,
        );
        console.log(`${kind}: ${mb.join(", ")}; slowest call beside ${slowestCallMs.toFixed(0)} ms`);
        for (const { grewMb, lateMb } of [memory.server, memory.reader]) {
          expect(grewMb).toBeLessThan(boundMb);
          expect(lateMb).toBeLessThan(flatMb);
        }
        // The snapshot, and the message that ends it.
        if (kind === "watch") expect(received).toBe(productCount + 1);
        expect(slowestCallMs).toBeLessThan(1_000);
      } finally {
        if (reader.connected) reader.disconnect();
      }
    },
  );
});
