import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Instance, Registrar, Registration } from "../discovery/registrar.ts";
import type { Health } from "./health.ts";
import { untilAborted } from "./until-aborted.ts";

/** How often a server asks whether what it needs is there, in ms: until it is, and from then on. */
const askEveryMs = { unready: 100, ready: 1_000 } as const;

/** What readiness is made of. */
export interface ReadinessOptions {
  readonly health: Health;
  readonly instances: readonly Instance[];
  readonly registrar: Registrar | undefined;
  readonly ask: (() => Promise<boolean> | boolean) | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Whether a server can take calls: what its services need is there, and the registry lists it. While the first is not so,
 * grpc.health says NOT_SERVING, and so do the beats; without a registry the process lives, is not ready, and keeps trying.
 */
export interface Readiness {
  /** Why the server is not ready; empty when it is. */
  readonly reasons: readonly string[];
  /** Starts to find out, and registers once what the services need is there. */
  start(): void;
  /** Resolves when the server is ready for the first time. Rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<void>;
  /** Ends it: NOT_SERVING, deregistered. Resolves when the registry has been told. Never throws. */
  withdraw(): Promise<void>;
}

/** Builds the readiness of a server; nothing happens before `start`. */
export function createReadiness(options: ReadinessOptions): Readiness {
  const { health, instances, registrar, ask, logger, clock } = options;
  const stopped = new AbortController();
  const supplied = Promise.withResolvers<void>();
  let registrations: readonly Registration[] = [];
  let hasNeeds = false;

  async function answer(): Promise<boolean> {
    try {
      return (await ask?.()) ?? true;
    } catch (error) {
      logger.warn({ err: error }, "the readiness check failed");
      return false;
    }
  }
  function become(next: boolean): void {
    if (next === hasNeeds) return;
    hasNeeds = next;
    health.setServing(next);
    if (next && registrations.length === 0 && registrar !== undefined) {
      registrations = instances.map((instance) => registrar.register(instance));
    }
    for (const registration of registrations) registration.setServing(next);
    if (next) supplied.resolve();
    else logger.warn({}, "what the services need has gone: not serving");
  }
  async function keepAsking(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = await answer();
      if (signal.aborted) return;
      become(next);
      if (ask === undefined) return;
      await clock.sleep(next ? askEveryMs.ready : askEveryMs.unready, signal);
    }
  }
  return {
    get reasons() {
      if (stopped.signal.aborted) return ["draining"];
      if (!hasNeeds) return ["what the services need is not there"];
      const absent = registrations.filter(({ registered }) => !registered);
      return absent.map(({ id }) => `${id} is not registered`);
    },
    start() {
      keepAsking(stopped.signal).catch((error: unknown) => {
        if (!stopped.signal.aborted) logger.error({ err: error }, "readiness is not watched any more");
      });
    },
    async ready(signal) {
      await untilAborted(supplied.promise, signal);
      await Promise.all(registrations.map((registration) => registration.ready(signal)));
    },
    async withdraw() {
      stopped.abort();
      health.setServing(false);
      await Promise.all(registrations.map((registration) => registration.deregister()));
    },
  };
}
