import { readMeshConfig, readServerConfig } from "@protoloom/mesh";
import type { EnvReader, MeshConfig, ServerConfig } from "@protoloom/mesh";
import { readDatabaseConfig } from "@protoloom/mesh/data";
import type { DatabaseConfig } from "@protoloom/mesh/data";

/** The configuration of the product service. */
export interface ProductConfig {
  readonly server: ServerConfig;
  readonly mesh: MeshConfig;
  readonly database: DatabaseConfig;
}

/** Reads the configuration. Problems go to the reader, which reports all of them at once. */
export function readProductConfig(reader: EnvReader): ProductConfig {
  return Object.freeze({
    server: readServerConfig(reader, { port: 50_052 }),
    mesh: readMeshConfig(reader),
    database: readDatabaseConfig(reader),
  });
}
