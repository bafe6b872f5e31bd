import { Product as ProductMessage } from "@protoloom/contracts/product/v1";
import type { Product as WireProduct } from "@protoloom/contracts/product/v1";
import type { NewChange } from "@protoloom/mesh/data";
import type { Product } from "./domain/product.ts";
import { toWire } from "./product-message.ts";
import type { ProductHappening } from "./store/product-store.ts";

/** What the changes of products are filed under. */
export const productType = "product.v1.Product";

/** A product in binary, as changes and snapshots keep it. */
export function toBytes(product: Product): Uint8Array {
  return ProductMessage.encode(toWire(product)).finish();
}

/** A product of a change or a snapshot. */
export function fromBytes(bytes: Uint8Array): WireProduct {
  return ProductMessage.decode(bytes);
}

/** A change for the log. A deletion carries the product as it last was, and is a version of its own. */
export function toChange({ type, product }: ProductHappening): NewChange {
  return {
    type,
    aggregateType: productType,
    aggregateId: product.id,
    aggregateVersion: type === "deleted" ? product.version + 1 : product.version,
    payload: toBytes(product),
  };
}
