import { InventoryService, ProductService } from "@protoloom/contracts";
import { silentLogger } from "@protoloom/mesh";
import type { Client, Clock } from "@protoloom/mesh";
import { serveLocally } from "@protoloom/testing";
import type { ObservedStreams } from "@protoloom/testing";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import { openProductServices } from "../open-service.ts";

/** The clients of a test. */
export interface ProductClients {
  readonly products: Client<typeof ProductService>;
  readonly inventory: Client<typeof InventoryService>;
}

/** Serves the products of a place and their stock, and calls both over gRPC. `clock` is that of `OpenOptions`. */
export async function startProducts(
  place: Pick<DatabasePlace, "name" | "url" | "dataDir">,
  resources: AsyncDisposableStack,
  { observed, ...options }: { readonly observed?: ObservedStreams; readonly clock?: Clock } = {},
): Promise<ProductClients> {
  const services = await openProductServices(place, { ...options, logger: silentLogger, resources, name: place.name });
  const { mesh } = resources.use(await serveLocally(observed?.wrap(services) ?? services));
  return { products: mesh.client(ProductService), inventory: mesh.client(InventoryService) };
}
