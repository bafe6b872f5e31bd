import { ProductService } from "@protoloom/contracts";
import type { ListProductsRequest, Product as WireProduct } from "@protoloom/contracts/product/v1";
import { Code, contractViolated, implement, MeshError } from "@protoloom/mesh";
import type { Implementation } from "@protoloom/mesh";
import { readUpdateMask, resourcesNotFound, toEtag } from "@protoloom/mesh/data";
import type { Idempotency } from "@protoloom/mesh/data";
import { fromPrice, toPrice } from "./domain/price.ts";
import { ProductError } from "./domain/product-error.ts";
import type { ProductProblem } from "./domain/product-error.ts";
import { fieldProblems, normalText } from "./domain/product.ts";
import type { Product, ProductFields } from "./domain/product.ts";
import type { ProductTables } from "./store/migrations.ts";
import type { ProductFilter, ProductStore } from "./store/product-store.ts";

const domain = "product.v1";
const { definition } = ProductService;
const writable = ["name", "description", "category", "price"] as const;
const outputOnly = ["id", "create_time", "update_time", "etag"];

/** What the service is made of. */
export interface ProductServiceOptions {
  readonly store: ProductStore;
  readonly idempotency: Idempotency<ProductTables>;
  /** What a failure of the database becomes for the caller. */
  readonly toStoreError: (error: unknown) => unknown;
}

/** The product service between the wire and its store. */
export function createProductService({ store, idempotency, toStoreError }: ProductServiceOptions): Implementation {
  const answer = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw error instanceof ProductError ? toMeshError(error.problem) : toStoreError(error);
    }
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
    async *watchProducts() {
      throw new MeshError(Code.UNIMPLEMENTED, "not served yet", { reason: "UNKNOWN_METHOD" });
    },
    importProducts() {
      throw new MeshError(Code.UNIMPLEMENTED, "not served yet", { reason: "UNKNOWN_METHOD" });
    },
  });
}

/** The fields to write, as they are kept. Problems: fields_invalid with every field that is wrong, price_invalid. */
function readFields<Field extends keyof ProductFields>(
  sent: Partial<WireProduct>,
  fields: readonly Field[],
): Pick<ProductFields, Field> {
  const read = (field: keyof ProductFields): unknown => (field === "price" ? sent.price : normalText(sent[field] ?? ""));
  const found: Partial<Record<keyof ProductFields, unknown>> = Object.fromEntries(fields.map((field) => [field, read(field)]));
  const wrong = fieldProblems(found as Parameters<typeof fieldProblems>[0]);
  if (wrong.length > 0) throw new ProductError({ kind: "fields_invalid", fields: wrong });
  const price = sent.price === undefined || !("price" in found) ? {} : { price: toPrice(sent.price, "product.price") };
  return { ...found, ...price } as Pick<ProductFields, Field>;
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

function toWire(product: Product): WireProduct {
  return {
    id: product.id,
    name: product.name,
    description: product.description,
    category: product.category,
    price: fromPrice(product.price),
    createTime: new Date(product.createMs),
    updateTime: new Date(product.updateMs),
    etag: toEtag(product.id, product.version),
  };
}

function toMeshError(problem: ProductProblem): MeshError {
  switch (problem.kind) {
    case "not_found":
      return resourcesNotFound(problem.ids, { noun: "product", reason: "PRODUCT_NOT_FOUND", domain });
    case "etag_mismatch":
      return new MeshError(Code.ABORTED, `product ${problem.id} has changed since its etag was read`, {
        reason: "ETAG_MISMATCH",
        domain,
      });
    case "price_invalid":
      return new MeshError(Code.INVALID_ARGUMENT, `${problem.field}: ${problem.why}`, {
        reason: "PRICE_INVALID",
        domain,
        info: { field: problem.field },
      });
    case "order_needs_currency":
      return new MeshError(Code.INVALID_ARGUMENT, "order_by names price, and needs min_price or max_price to say the currency", {
        reason: "ORDER_BY_INVALID",
        domain,
      });
    case "fields_invalid":
      return contractViolated(problem.fields.map(({ field, rule, why }) => ({ field, description: why, reason: rule })));
    case "reserved":
      return new MeshError(Code.FAILED_PRECONDITION, `${problem.units} units of product ${problem.id} are reserved`, {
        reason: "PRODUCT_RESERVED",
        domain,
        info: { units: String(problem.units) },
      });
  }
}
