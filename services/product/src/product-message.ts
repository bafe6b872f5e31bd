import type { Product as WireProduct } from "@protoloom/contracts/product/v1";
import { Code, contractViolated, MeshError } from "@protoloom/mesh";
import { resourcesNotFound, toEtag } from "@protoloom/mesh/data";
import { fromPrice, toPrice } from "./domain/price.ts";
import { ProductError } from "./domain/product-error.ts";
import type { ProductProblem } from "./domain/product-error.ts";
import { fieldProblems, normalText } from "./domain/product.ts";
import type { Product, ProductFields } from "./domain/product.ts";

/** Proto package of the service: the domain of its reasons. */
export const domain = "product.v1";

/** Fields that a caller may set. */
export const writable = ["name", "description", "category", "price"] as const;

/** The fields to write, as they are kept. Problems: fields_invalid with every field that is wrong, price_invalid. */
export function readFields<Field extends keyof ProductFields>(
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

/** A product as it travels. */
export function toWire(product: Product): WireProduct {
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

/** What a problem is for the caller. */
export function toMeshError(problem: ProductProblem): MeshError {
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
