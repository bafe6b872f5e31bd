import type { Clock, Random } from "@protoloom/mesh/process";
import type { CheckRunner } from "../checks/check-runner.ts";
import type { Catalog } from "../state/catalog.ts";

/** What the routes work on. */
export interface RegistryContext {
  readonly catalog: Catalog;
  readonly runner: CheckRunner;
  readonly clock: Clock;
  readonly random: Random;
  /** Version of the registry, as `/v1/agent/self` says it. */
  readonly version: string;
  /** Address that is listened on, `host:port`. */
  address(): string;
  /** Resolves when everything up to here is stored. Rejects when it cannot be stored. */
  stored(): Promise<void>;
}
