import { readDatabaseConfig, readServerConfig } from "@protoloom/mesh";
import type { DatabaseConfig, EnvReader, ServerConfig } from "@protoloom/mesh";

/** The configuration of the user service. */
export interface UserConfig {
  readonly server: ServerConfig;
  readonly database: DatabaseConfig;
}

/** Reads the configuration. Problems go to the reader, which reports all of them at once. */
export function readUserConfig(reader: EnvReader): UserConfig {
  return Object.freeze({ server: readServerConfig(reader, { port: 50_051 }), database: readDatabaseConfig(reader) });
}
