import { readMeshConfig, readServerConfig } from "@protoloom/mesh";
import type { EnvReader, MeshConfig, ServerConfig } from "@protoloom/mesh";
import { readDatabaseConfig } from "@protoloom/mesh/data";
import type { DatabaseConfig } from "@protoloom/mesh/data";

/** The configuration of the user service. */
export interface UserConfig {
  readonly server: ServerConfig;
  readonly mesh: MeshConfig;
  readonly database: DatabaseConfig;
}

/** Reads the configuration. Problems go to the reader, which reports all of them at once. */
export function readUserConfig(reader: EnvReader): UserConfig {
  return Object.freeze({
    server: readServerConfig(reader, { port: 50_051 }),
    mesh: readMeshConfig(reader),
    database: readDatabaseConfig(reader),
  });
}
