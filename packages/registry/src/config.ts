import { createEnvReader, logLevels } from "@protoloom/mesh/process";
import type { Environment, LogLevel } from "@protoloom/mesh/process";

/** Settings of the registry's process. */
export interface RegistryConfig {
  /** MESH_REGISTRY_HOST. Default: 127.0.0.1. */
  readonly host: string;
  /** MESH_REGISTRY_PORT; 0 takes a free one. Default: 8500, as for Consul. */
  readonly port: number;
  /** MESH_REGISTRY_DATA_DIR. Default: none, a restart forgets all. */
  readonly dataDir: string | undefined;
  /** MESH_LOG_LEVEL. Default: info. */
  readonly logLevel: LogLevel;
  /** MESH_READY_FILE: where the address is written once the registry listens. */
  readonly readyFile: string | undefined;
}

/** Reads the settings. Throws one error that lists every problem. */
export function loadConfig(env: Environment): RegistryConfig {
  const reader = createEnvReader(env);
  const config: RegistryConfig = {
    host: reader.text("MESH_REGISTRY_HOST", "127.0.0.1"),
    port: reader.port("MESH_REGISTRY_PORT", 8_500),
    dataDir: reader.optionalText("MESH_REGISTRY_DATA_DIR"),
    logLevel: reader.choice("MESH_LOG_LEVEL", "info", logLevels),
    readyFile: reader.optionalText("MESH_READY_FILE"),
  };
  reader.finish();
  return Object.freeze(config);
}
