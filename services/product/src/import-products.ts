import { ProductService } from "@protoloom/contracts";
import type { ImportProductsRequest, ImportProductsResponse } from "@protoloom/contracts/product/v1";
import { createRequestCheck } from "@protoloom/mesh";
import { importRows } from "@protoloom/mesh/data";
import type { Database } from "@protoloom/mesh/data";
import { ProductError } from "./domain/product-error.ts";
import { domain, readFields, toMeshError, toWire, writable } from "./product-message.ts";
import type { ProductTables } from "./store/migrations.ts";
import type { ProductStore } from "./store/product-store.ts";

/** Imports rows: the handler of ImportProducts. A row is what CreateProduct takes, under the same rules and request ids. */
export function createProductImport(
  database: Database<ProductTables>,
  store: ProductStore,
): (rows: AsyncIterable<ImportProductsRequest>) => Promise<ImportProductsResponse> {
  const check = createRequestCheck(ProductService, "createProduct");
  return async (rows) =>
    await importRows(rows, {
      database,
      method: ProductService.definition.createProduct,
      domain,
      prepare(request) {
        check(request);
        try {
          return store.prepare(readFields(request.product ?? {}, writable));
        } catch (error) {
          throw error instanceof ProductError ? toMeshError(error.problem) : error;
        }
      },
      answer: toWire,
      async insert(trx, products) {
        await store.insert(trx, products);
        return new Set(products);
      },
    });
}
