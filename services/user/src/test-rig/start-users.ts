import { UserService } from "@protoloom/contracts";
import { silentLogger } from "@protoloom/mesh";
import type { Client } from "@protoloom/mesh";
import { serveLocally } from "@protoloom/testing";
import type { LocalServer, ObservedStreams } from "@protoloom/testing";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import { openUserService } from "../open-service.ts";

/** The client of a test. */
export type Users = Client<typeof UserService>;

/** Serves the users of a place. */
export async function serveUsers(
  place: Pick<DatabasePlace, "name" | "url" | "dataDir">,
  resources: AsyncDisposableStack,
  { observed }: { readonly observed?: ObservedStreams } = {},
): Promise<LocalServer> {
  const services = [await openUserService({ ...place }, { logger: silentLogger, resources, name: place.name })];
  return resources.use(await serveLocally(observed?.wrap(services) ?? services));
}

/** Serves the users of a place, and calls them over gRPC. */
export async function startUsers(
  place: Pick<DatabasePlace, "name" | "url" | "dataDir">,
  resources: AsyncDisposableStack,
): Promise<Users> {
  return (await serveUsers(place, resources)).mesh.client(UserService);
}
