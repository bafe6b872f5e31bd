import { createEndpoint, createMesh, createStaticResolver } from "@protoloom/mesh";
import type { Endpoint, Mesh } from "@protoloom/mesh";

/**
 * Joins instances that a test knows, without a registry: `connectTo({ user: ["127.0.0.1:5001"] }).client(UserService)`. The
 * names are those of the registry, the addresses `host:port` with brackets around an IPv6 host. Nothing is connected before
 * the first call, and registering throws. Throws for what is no address. Disposing closes all connections.
 */
export function connectTo(services: Readonly<Record<string, readonly string[]>>): Mesh {
  const sets = Object.entries(services).map(([name, addresses]) => [name, addresses.map(toEndpoint)] as const);
  const resolver = createStaticResolver(Object.fromEntries(sets));
  const registrar = {
    register() {
      throw new Error("this mesh has no registry: it calls the addresses that connectTo was given");
    },
  };
  // The configuration wants a registry, and with `discovery` nothing asks it.
  const mesh = createMesh({ registryUrl: "http://127.0.0.1:1" }, { discovery: { resolver, registrar } });
  const owned = new AsyncDisposableStack();
  owned.use(resolver);
  owned.use(mesh);
  return { ...mesh, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function toEndpoint(address: string): Endpoint {
  const [, bracketed, plain, digits] = /^(?:\[([^[\]]+)\]|([^[\]:]+)):(\d{1,5})$/.exec(address) ?? [];
  const [host, port] = [bracketed ?? plain, Number(digits)];
  if (host !== undefined && port >= 1 && port <= 65_535) return createEndpoint(host, port);
  throw new Error(`"${address}" is no address: host:port, a port from 1 to 65535, an IPv6 host in brackets`);
}
