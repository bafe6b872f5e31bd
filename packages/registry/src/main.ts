import { createLogger, untilTerminated, writeReadyFile } from "@protoloom/mesh/process";
import { loadConfig } from "./config.ts";
import type { RegistryConfig } from "./config.ts";
import { createRegistry } from "./registry.ts";

await run(readConfig());

/** Serves until SIGTERM or SIGINT. Exits with 1, after one line of log, when it cannot start. */
async function run({ host, port, dataDir, logLevel, readyFile }: RegistryConfig): Promise<void> {
  const log = createLogger({ name: "registry", level: logLevel });
  process.on("uncaughtException", (error, origin) => {
    log.error({ err: error, origin }, "a fault that nobody caught ends the process");
    process.exit(1);
  });
  const stopping = untilTerminated();
  try {
    const registry = await createRegistry({ host, port, log, ...(dataDir === undefined ? {} : { dataDir }) });
    writeReadyFile(readyFile, { address: registry.address });
    log.info({ address: registry.address, dataDir }, "the registry listens");
    const signal = await stopping;
    await registry.close();
    log.info({ signal }, "stopped");
    process.exit(0);
  } catch (error) {
    log.error({ err: error }, "the registry cannot go on");
    process.exit(1);
  }
}

/** Reads the settings, or says what is wrong with them on standard error and exits with 1. */
function readConfig(): RegistryConfig {
  try {
    return loadConfig(process.env);
  } catch (error) {
    process.stderr.write(`registry: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
