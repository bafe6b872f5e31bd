import { UserService } from "@protoloom/contracts";
import {
  createEndpoint,
  createEnvReader,
  createMesh,
  createStaticResolver,
  MeshError,
  readServerConfig,
  serve,
  silentLogger,
} from "@protoloom/mesh";
import type { Client, Implementation, Registrar, Server } from "@protoloom/mesh";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import { openUserService } from "../open-service.ts";

/** A service that is called by endpoint registers nowhere. */
const noRegistrar: Registrar = {
  register() {
    throw new Error("nothing is registered here");
  },
};

/** The client of a test. */
export type Users = Client<typeof UserService>;

/** Serves the users of a place. `wrap` may put something around its handlers. */
export async function startUserServer(
  place: Pick<DatabasePlace, "name" | "url" | "dataDir">,
  resources: AsyncDisposableStack,
  wrap: (service: Implementation) => Implementation = (service) => service,
): Promise<Server> {
  const service = await openUserService({ ...place }, { logger: silentLogger, resources, name: place.name });
  const config = readServerConfig(createEnvReader({ MESH_DRAIN_NOTICE_MS: "0", MESH_DRAIN_TIMEOUT_MS: "2000" }));
  return resources.use(await serve({ services: [wrap(service)], config, logger: silentLogger }));
}

/** A client of the instances at these addresses, `host:port`. */
export function connectUsers(addresses: readonly string[], resources: AsyncDisposableStack): Users {
  const endpoints = addresses.map((address) => {
    const [host = "", port = ""] = address.split(":");
    return createEndpoint(host, Number(port));
  });
  const resolver = createStaticResolver({ user: endpoints });
  const mesh = createMesh({ registryUrl: "http://127.0.0.1:1" }, { discovery: { resolver, registrar: noRegistrar } });
  return resources.use(mesh).client(UserService);
}

/** Serves the users of a place, and calls them over gRPC. */
export async function startUsers(
  place: Pick<DatabasePlace, "name" | "url" | "dataDir">,
  resources: AsyncDisposableStack,
): Promise<Users> {
  return connectUsers([(await startUserServer(place, resources)).address], resources);
}

/** The error of a call that has to fail. */
export async function errorOf(call: Promise<unknown>): Promise<MeshError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof MeshError) return error;
  throw new Error("the call did not fail", { cause: error });
}
