import type { EnvReader } from "../base/env-reader.ts";
import type { TransportSettings } from "../rpc/transport-settings.ts";

/** What a process has to know to take part in a mesh. */
export interface MeshConfig {
  /** URL of the registry: a Consul agent or the embedded registry. */
  readonly registryUrl: string;
  /** Token of Consul's access control. Default: none. */
  readonly registryToken?: string;
  /** Overrides of `transportDefaults`. */
  readonly transport?: Partial<TransportSettings>;
}

/** Reads the configuration: CONSUL_HTTP_ADDR (default `http://127.0.0.1:8500`) and CONSUL_HTTP_TOKEN, as Consul's own tools do. */
export function readMeshConfig(reader: EnvReader): MeshConfig {
  const registryToken = reader.optionalText("CONSUL_HTTP_TOKEN");
  return {
    registryUrl: reader.url("CONSUL_HTTP_ADDR", "http://127.0.0.1:8500"),
    ...(registryToken === undefined ? {} : { registryToken }),
  };
}
