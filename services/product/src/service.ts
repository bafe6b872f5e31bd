import { ProductService } from "@protoloom/contracts";
import type { ListProductsRequest, Product as WireProduct } from "@protoloom/contracts/product/v1";
import { implement } from "@protoloom/mesh";
import type { Clock, Implementation } from "@protoloom/mesh";
import { readUpdateMask, toWatchMessage, watchChanges } from "@protoloom/mesh/data";
import type { ChangeLog, Database, Idempotency } from "@protoloom/mesh/data";
import { toPrice } from "./domain/price.ts";
import { ProductError } from "./domain/product-error.ts";
import { createProductImport } from "./import-products.ts";
import { fromBytes, productType, toBytes } from "./product-changes.ts";
import { domain, readFields, toMeshError, toWire, writable } from "./product-message.ts";
import type { ProductTables } from "./store/migrations.ts";
import type { ProductFilter, ProductStore } from "./store/product-store.ts";

const { definition } = ProductService;
const outputOnly = ["id", "create_time", "update_time", "etag"];

/** What the service is made of. */
export interface ProductServiceOptions {
  readonly database: Database<ProductTables>;
  readonly store: ProductStore;
  readonly changes: ChangeLog<ProductTables>;
  readonly idempotency: Idempotency<ProductTables>;
  /** What a failure of the database becomes for the caller. */
  readonly toStoreError: (error: unknown) => unknown;
  readonly clock: Clock;
}

/** The product service between the wire and its store. */
export function createProductService(options: ProductServiceOptions): Implementation {
  const { database, store, changes, idempotency, clock } = options;
  const toCallError = (error: unknown): unknown =>
    error instanceof ProductError ? toMeshError(error.problem) : options.toStoreError(error);
  const answer = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw toCallError(error);
    }
  };
  const importProducts = createProductImport(database, store);
  const snapshot = async function* (view: Database<ProductTables>["read"]): AsyncGenerator<Uint8Array> {
    for await (const product of store.readAll(view)) yield toBytes(product);
  };
  return implement(ProductService, {
    createProduct: async (request) =>
      await answer(async () => {
        const fields = readFields(request.product ?? {}, writable);
        return await idempotency.run(definition.createProduct, request, async (trx) => toWire(await store.create(trx, fields)));
      }),
    getProduct: async ({ id }) => await answer(async () => toWire(await store.get(id))),
    batchGetProducts: async ({ ids }) => await answer(async () => ({ products: (await store.getAll(ids)).map(toWire) })),
    listProducts: async (request) =>
      await answer(async () => {
        const { products, nextPageToken } = await store.list({ ...request, filter: readFilter(request) });
        return { products: products.map(toWire), nextPageToken };
      }),
    updateProduct: async (request) =>
      await answer(async () => {
        const { id = "", etag = "", ...sent }: Partial<WireProduct> = request.product ?? {};
        const isSet = (field: (typeof writable)[number]): boolean => sent[field] !== undefined && sent[field] !== "";
        const fields = readFields(sent, readUpdateMask(request.updateMask, { writable, outputOnly, isSet, domain }));
        return await idempotency.run(definition.updateProduct, request, async (trx) =>
          toWire(await store.update(trx, id, { fields, etag })),
        );
      }),
    deleteProduct: async (request) =>
      await answer(
        async () =>
          await idempotency.run(definition.deleteProduct, request, async (trx) => {
            await store.delete(trx, request.id, request.etag);
            return {};
          }),
      ),
    async *watchProducts({ resumeToken }, { signal }) {
      try {
        for await (const step of watchChanges(changes, { resumeToken, aggregateType: productType, snapshot, signal, clock })) {
          yield toWatchMessage(step, fromBytes);
        }
      } catch (error) {
        throw toCallError(error);
      }
    },
    importProducts: async (rows) => await answer(async () => await importProducts(rows)),
  });
}

function readFilter({ text, category, minPrice, maxPrice }: ListProductsRequest): ProductFilter {
  const min = minPrice === undefined ? undefined : toPrice(minPrice, "min_price");
  const max = maxPrice === undefined ? undefined : toPrice(maxPrice, "max_price");
  // The contract has seen to it that both bounds are of one currency.
  const currency = (min ?? max)?.currency;
  if (currency === undefined) return { text, category };
  const price = {
    currency,
    ...(min === undefined ? {} : { minMinor: min.minor }),
    ...(max === undefined ? {} : { maxMinor: max.minor }),
  };
  return { text, category, price };
}
