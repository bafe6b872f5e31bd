import { systemClock } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import { registryName } from "../contract/policy.ts";
import type { ServiceHandle } from "../contract/service-handle.ts";
import { createDiscovery } from "../discovery/create-discovery.ts";
import type { Discovery } from "../discovery/create-discovery.ts";
import type { Registrar } from "../discovery/registrar.ts";
import type { Resolver } from "../discovery/resolver.ts";
import { createTransport } from "../rpc/create-transport.ts";
import { createGrpcChannel } from "../rpc/grpc-channel.ts";
import type { GrpcChannel } from "../rpc/grpc-channel.ts";
import type { Transport } from "../rpc/transport.ts";
import type { Client } from "./client.ts";
import { createClient } from "./create-client.ts";
import type { MeshConfig } from "./mesh-config.ts";

/** What a process takes part in the mesh with. One per process. */
export interface Mesh extends AsyncDisposable {
  /** A typed client: `mesh.client(UserService).getUser({ id })`. Make it once; it lasts as long as the mesh. */
  client<Handle extends ServiceHandle>(handle: Handle): Client<Handle>;
  /** A channel for plain grpc-js clients of a service, by its registry name. */
  channel(serviceName: string): GrpcChannel;
  readonly transport: Transport;
  readonly registrar: Registrar;
  readonly resolver: Resolver;
}

/** What createMesh takes beside its configuration. */
export interface MeshOptions {
  readonly logger?: Logger;
  readonly meter?: Meter;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Takes the place of the registry of the configuration. It stays the caller's: the mesh does not dispose it. */
  readonly discovery?: Pick<Discovery, "registrar" | "resolver">;
}

/** Joins the mesh: discovery and transport, without a connection until they are used. Disposing closes all connections and deregisters. */
export function createMesh(config: MeshConfig, options: MeshOptions = {}): Mesh {
  const { discovery: given, ...context } = options;
  const { registryUrl, registryToken } = config;
  const own =
    given === undefined
      ? createDiscovery({ ...context, address: registryUrl, ...(registryToken === undefined ? {} : { token: registryToken }) })
      : undefined;
  const { registrar, resolver } = (given ?? own) as Pick<Discovery, "registrar" | "resolver">;
  const transport = createTransport({
    ...context,
    resolver,
    ...(config.transport === undefined ? {} : { settings: config.transport }),
  });
  const clock = options.clock ?? systemClock;
  return {
    client: (handle) => createClient(handle, transport.service(registryName(handle.descriptor)), { clock }),
    channel: (serviceName) => createGrpcChannel(transport.service(serviceName), serviceName),
    transport,
    registrar,
    resolver,
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]();
      await own?.[Symbol.asyncDispose]();
    },
  };
}
