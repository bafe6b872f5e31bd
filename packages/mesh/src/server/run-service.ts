import { flushCompileCache } from "node:module";
import { constants } from "node:os";
import { systemClock } from "../base/clock.ts";
import { createEnvReader } from "../base/env-reader.ts";
import type { EnvReader, Environment } from "../base/env-reader.ts";
import type { Logger } from "../base/logger.ts";
import { createLogger, logLevels } from "../observability/logger.ts";
import type { ProcessLogger } from "../observability/logger.ts";
import type { Server } from "./serve.ts";
import { untilAborted } from "./until-aborted.ts";
import { untilTerminated } from "./until-terminated.ts";

/** What a process knows when it starts. */
export interface Start<Config> {
  readonly config: Config;
  readonly logger: Logger;
  /** Aborts when the process is asked to stop before it has started. */
  readonly signal: AbortSignal;
  /** Disposed after the drain, the last one first: `resources.use(createMesh(...))`. */
  readonly resources: AsyncDisposableStack;
}

/** What a service process is made of. */
export interface Service<Config> {
  /** Name of the process, in its log. */
  readonly name: string;
  /** `process.env`. */
  readonly env: Environment;
  /** Reads the configuration. Problems go to the reader; the process then says all of them and exits with 1. */
  configure(reader: EnvReader): Config;
  /** Builds everything and serves. */
  start(start: Start<Config>): Promise<Server>;
}

/**
 * The life of a service process: reads its configuration, starts, serves until SIGTERM or SIGINT, drains, disposes what was
 * built, and exits with 0. A second signal ends it at once. It exits with 1, after one line of log, when its configuration
 * has problems, when it cannot start or become ready, and after an exception or a rejection that nobody caught.
 * MESH_LOG_LEVEL sets the level of its log.
 */
export async function runService<Config>(service: Service<Config>): Promise<void> {
  const { config, logger } = configure(service);
  exitOnFaults(logger);
  const stopping = new AbortController();
  const asked = untilTerminated().then((signal) => {
    logger.info({ signal }, "asked to stop");
    stopping.abort(new Error(`stopped by ${signal}`));
    endOnSecondSignal();
  });
  const resources = new AsyncDisposableStack();
  try {
    const server = await untilAborted(service.start({ config, logger, signal: stopping.signal, resources }), stopping.signal);
    resources.use(server);
    await server.ready(stopping.signal);
    // Node writes its compile cache only at a clean exit, which a killed process does not have.
    flushCompileCache();
  } catch (error) {
    if (!stopping.signal.aborted) {
      logger.error({ err: error }, `${service.name} cannot start`);
      await resources.disposeAsync();
      await exit(1, logger);
    }
  }
  await asked;
  await resources.disposeAsync();
  logger.info({}, "stopped");
  await exit(0, logger);
}

/** Reads the configuration, or says what is wrong with it, in plain text on standard error, and exits with 1. */
function configure<Config>({ name, env, configure: read }: Service<Config>): {
  readonly config: Config;
  readonly logger: ProcessLogger;
} {
  const reader = createEnvReader(env);
  try {
    const level = reader.choice("MESH_LOG_LEVEL", "info", logLevels);
    const config = read(reader);
    reader.finish();
    return { config, logger: createLogger({ name, level }) };
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

/** Ends the process once its log is written, or after a second if nobody reads that. */
async function exit(code: number, logger: ProcessLogger): Promise<never> {
  await Promise.race([logger.flush(), systemClock.sleep(1_000)]);
  process.exit(code);
}

/** After a fault that nobody caught, nothing is known about the state of the process: it says what happened and ends. */
function exitOnFaults(logger: Logger): void {
  process.on("uncaughtException", (error, origin) => {
    logger.error({ err: error, origin }, "a fault that nobody caught ends the process");
    process.exit(1);
  });
}

function endOnSecondSignal(): void {
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => process.exit(128 + constants.signals[name]));
}
