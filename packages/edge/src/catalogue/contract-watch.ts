import { fullJitterMs } from "@protoloom/mesh";
import type { Clock, Endpoint, Logger, Meter, Random, Resolver, Transport } from "@protoloom/mesh";
import { reflectContract } from "../descriptors/reflection-client.ts";
import { toContract } from "./contract.ts";
import type { Contract } from "./contract.ts";

/** How contracts are kept up to date. */
export interface ContractWatchSettings {
  /** How long one instance may take to describe itself. Default: 2,000 ms. */
  readonly reflectTimeoutMs: number;
  /** How long a contract is believed without asking again. Default: 30,000 ms. */
  readonly refreshMs: number;
  /** Cap of the first wait after a failure; it doubles. Default: 100 ms. */
  readonly retryBaseMs: number;
  /** Cap of all those waits. Default: 5,000 ms. */
  readonly retryMaxMs: number;
}

/** The settings in force where nothing is said. */
export const contractWatchDefaults: ContractWatchSettings = {
  reflectTimeoutMs: 2_000,
  refreshMs: 30_000,
  retryBaseMs: 100,
  retryMaxMs: 5_000,
};

/** What a watch works with. */
export interface ContractWatchDeps {
  readonly resolver: Resolver;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly settings: ContractWatchSettings;
}

/** What a watch tells. */
export interface ContractEvents {
  /** The contract is known, or has changed. */
  changed(contract: Contract): void;
  /** Called once: the first contract is known, or could not be read at the first attempt, or there is no gRPC instance. */
  settled(): void;
}

/**
 * Keeps the contract of one service of the registry: asks each instance that appears, tries again with back-off, asks again
 * from time to time. A failure changes nothing: the contract that was known stays. Resolves when the signal aborts.
 */
export async function watchContract(
  service: string,
  deps: ContractWatchDeps,
  events: ContractEvents,
  signal: AbortSignal,
): Promise<void> {
  let endpoints: readonly Endpoint[] = [];
  let bell = Promise.withResolvers<void>();
  const follow = async (): Promise<void> => {
    for await (const set of deps.resolver.watch(service, signal)) {
      endpoints = set.endpoints.filter(({ meta }) => meta["protocol"] === "grpc");
      if (endpoints.length === 0) events.settled();
      bell.resolve();
      bell = Promise.withResolvers();
    }
  };
  const work = async (): Promise<void> => {
    let asked: readonly string[] = [];
    let fingerprint: string | undefined;
    let failures = 0;
    while (!signal.aborted) {
      const rung = bell.promise;
      const present = endpoints;
      const identities = present.map(identityOf);
      asked = asked.filter((identity) => identities.includes(identity));
      const next = present.find((endpoint) => !asked.includes(identityOf(endpoint)));
      let waitMs = deps.settings.refreshMs;
      if (next !== undefined) {
        const contract = await readContract(service, rotate(next, present, failures), deps, signal);
        events.settled();
        failures = contract === undefined ? failures + 1 : 0;
        if (contract !== undefined) {
          asked = [...asked, identityOf(contract.from)];
          if (contract.value.fingerprint !== fingerprint) events.changed(contract.value);
          ({ fingerprint } = contract.value);
          continue;
        }
        waitMs = Math.max(
          20,
          fullJitterMs(failures, { baseMs: deps.settings.retryBaseMs, maxMs: deps.settings.retryMaxMs }, deps.random),
        );
      }
      const isDue = await waitFor(rung, waitMs, deps.clock, signal);
      // The instance that was asked last speaks for the contract: it is asked again.
      if (isDue && next === undefined) asked = asked.slice(0, -1);
    }
  };
  await Promise.all([follow(), work()]);
}

/** An instance that was replaced at its address mostly has another version, and is asked again at the next refresh anyway. */
function identityOf({ key, meta }: Endpoint): string {
  return `${key} ${meta["version"] ?? ""}`;
}

/** After failures, the other instances get their turn. */
function rotate(next: Endpoint, present: readonly Endpoint[], failures: number): Endpoint {
  return failures === 0 ? next : (present[(present.indexOf(next) + failures) % present.length] ?? next);
}

async function readContract(
  service: string,
  endpoint: Endpoint,
  deps: ContractWatchDeps,
  signal: AbortSignal,
): Promise<{ readonly value: Contract; readonly from: Endpoint } | undefined> {
  try {
    const options = { clock: deps.clock, timeoutMs: deps.settings.reflectTimeoutMs, signal };
    return { value: toContract(service, await reflectContract(deps.transport.endpoint(endpoint), options)), from: endpoint };
  } catch (error) {
    if (signal.aborted) return undefined;
    deps.meter.count("mesh_edge_reflection_failures_total", { service });
    deps.logger.warn(
      { service, endpoint: endpoint.key, err: error },
      "an instance does not describe its contract; what is known of it stays",
    );
    return undefined;
  }
}

/** True: the time is over. False: the bell rang, or the signal aborted. */
async function waitFor(bell: Promise<void>, ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const stop = clock.after(ms, () => resolve(true));
  const onAbort = (): void => resolve(false);
  signal.addEventListener("abort", onAbort, { once: true });
  void bell.then(() => resolve(false));
  if (signal.aborted) resolve(false);
  const isDue = await promise;
  stop();
  signal.removeEventListener("abort", onAbort);
  return isDue;
}
