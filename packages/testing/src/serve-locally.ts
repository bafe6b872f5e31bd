import { createEnvReader, readServerConfig, registryName, serve, silentLogger } from "@protoloom/mesh";
import type { Environment, Implementation, Logger, Mesh, Server } from "@protoloom/mesh";
import { connectTo } from "./connect-to.ts";

/** What of a local server differs from its defaults. */
export interface LocalServerOptions {
  /** Settings of the server, as in docs/configuration.md. Default: those of `localDefaults`; the process's own are not read. */
  readonly env?: Environment;
  /** Default: writes nothing. */
  readonly logger?: Logger;
}

/** Services that this process serves and calls over gRPC. Disposing closes the mesh, then drains the server. */
export interface LocalServer extends Server {
  /** Calls these services, by their handles, and no others: `local.mesh.client(UserService)`. */
  readonly mesh: Mesh;
}

/** Settings that differ from those of a process, so that the end of a test waits for nobody. */
const localDefaults: Environment = {
  // No registry knows the server, so no client is still on its way.
  MESH_DRAIN_NOTICE_MS: "0",
  // Below what a test runner allows a hook.
  MESH_DRAIN_TIMEOUT_MS: "2000",
};

/**
 * Serves services inside this process, on a free port of 127.0.0.1, and registers them nowhere: for tests of their calls, which
 * need no process, no registry and no edge (`startMesh` has those). Resolves when the server is ready. What the services are
 * made of stays the caller's, who disposes it after the server.
 */
export async function serveLocally(
  services: readonly Implementation[],
  { env, logger = silentLogger }: LocalServerOptions = {},
): Promise<LocalServer> {
  const reader = createEnvReader({ ...localDefaults, ...env });
  const config = readServerConfig(reader);
  reader.finish();
  await using cleanup = new AsyncDisposableStack();
  const server = cleanup.use(await serve({ services, config, logger }));
  await server.ready();
  const names = services.map(({ service }) => registryName(service));
  const mesh = cleanup.use(connectTo(Object.fromEntries(names.map((name) => [name, [server.address]]))));
  const owned = cleanup.move();
  return { ...server, mesh, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
