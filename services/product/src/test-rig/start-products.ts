import { InventoryService, ProductService } from "@protoloom/contracts";
import {
  createEndpoint,
  createEnvReader,
  createMesh,
  createStaticResolver,
  readServerConfig,
  serve,
  silentLogger,
} from "@protoloom/mesh";
import type { Client, Implementation } from "@protoloom/mesh";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import { openProductServices } from "../open-service.ts";

/** The clients of a test. */
export interface ProductClients {
  readonly products: Client<typeof ProductService>;
  readonly inventory: Client<typeof InventoryService>;
}

/** Serves the products of a place, and calls them over gRPC. `wrap` may put something around the handlers. */
export async function startProducts(
  place: Pick<DatabasePlace, "name" | "url" | "dataDir">,
  resources: AsyncDisposableStack,
  wrap: (service: Implementation) => Implementation = (service) => service,
): Promise<ProductClients> {
  const services = await openProductServices(place, { logger: silentLogger, resources, name: place.name });
  const config = readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0", MESH_DRAIN_TIMEOUT_MS: "2000" }));
  const server = resources.use(await serve({ services: services.map(wrap), config, logger: silentLogger }));
  const [host = "", port = ""] = server.address.split(":");
  const resolver = createStaticResolver({ product: [createEndpoint(host, Number(port))] });
  const registrar = {
    register() {
      throw new Error("a service that is called by endpoint registers nowhere");
    },
  };
  const mesh = resources.use(createMesh({ registryUrl: "http://127.0.0.1:1" }, { discovery: { resolver, registrar } }));
  return { products: mesh.client(ProductService), inventory: mesh.client(InventoryService) };
}
