import type { EnvReader, Environment } from "../base/env-reader.ts";
import type { Logger } from "../base/logger.ts";
import type { Server } from "./serve.ts";

/** What a process knows when it starts. */
export interface Start<Config> {
  readonly config: Config;
  readonly logger: Logger;
  /** Aborts when the process is asked to stop before it has started. */
  readonly signal: AbortSignal;
  /** Disposed after the drain, last one first: `resources.use(createMesh(...))`. */
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
 * The life of a service process: reads its configuration, starts, serves until it is asked to stop, drains, disposes what
 * was built and exits with 0. It exits with 1 when it cannot start, and after an exception that nobody caught.
 */
export async function runService<Config>(service: Service<Config>): Promise<void> {
  throw new Error(`${service.name} is being written`);
}
