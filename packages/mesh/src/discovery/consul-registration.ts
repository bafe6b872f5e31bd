import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import type { Logger } from "../base/logger.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import type { ConsulClient } from "../consul/consul-client.ts";
import { checkId } from "../consul/consul-client.ts";
import { httpStatus } from "../consul/from-consul.ts";
import { backOffMs } from "./back-off.ts";
import type { Bell } from "./bell.ts";
import { createBell } from "./bell.ts";
import { settleMs } from "./fail-static.ts";
import type { Instance, Registration } from "./registrar.ts";
import { instanceId } from "./registrar.ts";
import type { TroubleLog } from "./trouble-log.ts";

/** How a registration is kept. */
export const registrationDefaults = {
  /** The instance turns critical this long after its last beat, in ms. */
  ttlMs: 3_000,
  /** Time between two beats, and the longest wait for the answer to one, in ms. */
  beatMs: 1_000,
  /** After so many beats the registration looks how the registry lists it. */
  beatsPerLook: 5,
  /** The longest wait for the answer to such a look, in ms. Short: the next beat waits for it. */
  lookTimeoutMs: 500,
  /** The longest that deregistering takes while the registry is away, in ms. */
  deregisterMs: 1_000,
  /** The registry removes an instance that stays critical for so long, in ms: Consul's floor. */
  removeCriticalAfterMs: 60_000,
} as const;

/** What a registration works with. */
export interface ConsulRegistrationDeps {
  readonly consul: ConsulClient;
  readonly logger: Logger;
  readonly trouble: TroubleLog;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly random: Random;
  readonly ttlMs: number;
  readonly beatMs: number;
}

/**
 * `new`: never confirmed. `registered`: confirmed, and since when after a loss (minus infinity: never lost). `lost`: the
 * registry has forgotten the instance. `left`: deregistered, or about to be.
 */
type State =
  | { readonly is: "new" }
  | { readonly is: "registered"; readonly sinceMs: number }
  | { readonly is: "lost" }
  | { readonly is: "left" };

/** How the registry lists the instance. */
interface Listing {
  readonly listed: boolean;
  /** Our own check passes. */
  readonly beating: boolean;
  /** All checks pass, those of the node, of operators and of others among them: others may call the instance. */
  readonly passing: boolean;
}

const unlisted: Listing = { listed: false, beating: false, passing: false };

/**
 * One instance, registered with a TTL check that it beats. The states and their changes: new -> registered at the first
 * confirmed beat; registered -> lost when a beat gets 404 or the catalog no longer lists the instance; lost -> registered
 * at the next confirmed beat; every state -> left by `deregister`. Use `createConsulRegistrar`.
 */
export class ConsulRegistration implements Registration {
  readonly id: string;
  readonly #instance: Instance;
  readonly #deps: ConsulRegistrationDeps;
  readonly #logger: Logger;
  readonly #bell: Bell;
  readonly #lifetime = new AbortController();
  readonly #confirmed = Promise.withResolvers<void>();
  readonly #loop: Promise<void>;
  #state: State = { is: "new" };
  #serving = true;
  /** The agent has taken the registration, and no beat has found it gone. */
  #announced = false;
  /** The last look found the instance in the catalog. */
  #listed = false;
  #misjudged = false;
  #leaving: Promise<void> | undefined;

  constructor(instance: Instance, deps: ConsulRegistrationDeps) {
    this.id = instanceId(instance);
    this.#instance = instance;
    this.#deps = deps;
    this.#logger = deps.logger.child({ instance: this.id });
    this.#bell = createBell(deps.clock);
    // Whoever calls ready() hears of a rejection; without a caller it is no fault.
    this.#confirmed.promise.catch(() => {});
    this.#loop = this.#keepRegistered();
  }

  get registered(): boolean {
    return this.#state.is === "registered";
  }

  async ready(signal?: AbortSignal): Promise<void> {
    if (signal === undefined) return this.#confirmed.promise;
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([this.#confirmed.promise, aborted.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  setServing(serving: boolean): void {
    if (this.#serving === serving) return;
    this.#serving = serving;
    this.#bell.ring();
  }

  /** Confirmed at least once and not left: the registry has known the instance and should know it still. */
  get expected(): boolean {
    return this.#state.is === "registered" || this.#state.is === "lost";
  }

  /**
   * Whether the registry lists this instance, with the health that it reports, and has done so for the settle time if it
   * had lost it (fail-static.ts). Asks the registry; false if it does not answer.
   */
  async isKnown(signal: AbortSignal): Promise<boolean> {
    const before = this.#state;
    if (before.is !== "registered" || this.#deps.clock.monotonicMs() - before.sinceMs < settleMs) return false;
    const { listed, beating } = await this.#look(signal).catch(() => unlisted);
    // What a look finds lost is registered again at once, not with the next beat.
    if (this.#state.is === "lost") this.#bell.ring();
    // Our own check alone: a maintenance mode that an operator has set says nothing about what the registry knows.
    return listed && beating === this.#serving && this.#state === before;
  }

  deregister(): Promise<void> {
    return (this.#leaving ??= this.#leave());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.deregister();
  }

  #transition(next: State): void {
    const before = this.#state;
    this.#state = next;
    const { meter } = this.#deps;
    const labels = { service: this.#instance.name };
    meter.gauge("mesh_registration_confirmed", next.is === "registered" ? 1 : 0, labels);
    if (next.is === "lost") meter.count("mesh_registration_lost_total", labels);
    if (next.is !== "registered") return;
    this.#logger.info({}, before.is === "lost" ? "registered again: the registry had lost this instance" : "registered");
    this.#confirmed.resolve();
  }

  /** The loop that owns the registration: announces, beats, looks, waits, until the instance leaves. */
  async #keepRegistered(): Promise<void> {
    let failures = 0;
    let losses = 0;
    for (let beats = 1; this.#state.is !== "left"; beats += 1) {
      try {
        if (!this.#announced) await this.#announce();
        await this.#beat();
        failures = 0;
        losses = 0;
        if (beats % registrationDefaults.beatsPerLook === 0) await this.#lookAtSelf();
        if (this.#announced) await this.#bell.wait(this.#deps.beatMs);
      } catch (error) {
        if (this.#lifetime.signal.aborted) return;
        if (this.#announced && httpStatus(error) === 404) {
          this.#lose();
          // It hears of us at once; one that forgets again and again is not stormed.
          if (losses > 0) await this.#bell.wait(backOffMs(error, losses, this.#deps.random));
          losses += 1;
        } else {
          this.#deps.trouble.trouble(error, "the registry does not take the registration");
          // Refused, though not forgotten: the check may have been replaced by one that takes no beats.
          if (httpStatus(error) !== undefined) this.#announced = false;
          await this.#bell.wait(backOffMs(error, failures, this.#deps.random));
          failures += 1;
        }
      }
    }
  }

  async #announce(): Promise<void> {
    const { consul, ttlMs } = this.#deps;
    const { removeCriticalAfterMs } = registrationDefaults;
    const status = this.#serving ? "passing" : "critical";
    const registration = { ...this.#instance, id: this.id, ttlMs, status, removeCriticalAfterMs } as const;
    await consul.registerService(registration, { signal: this.#lifetime.signal });
    this.#announced = true;
  }

  async #beat(): Promise<void> {
    const { consul, trouble, clock, beatMs } = this.#deps;
    const how = { signal: this.#lifetime.signal, timeoutMs: beatMs };
    // Without a note while it serves: the registration has none either, and a change of it would wake every watcher.
    if (this.#serving) await consul.beat(checkId(this.id), "passing", how);
    else await consul.beat(checkId(this.id), "critical", { ...how, note: "NOT_SERVING" });
    trouble.calm();
    // A look may have found, meanwhile, that the catalog has lost us: then only the next registration confirms.
    if (!this.#announced) return;
    if (this.#state.is === "new") this.#transition({ is: "registered", sinceMs: Number.NEGATIVE_INFINITY });
    else if (this.#state.is === "lost") this.#transition({ is: "registered", sinceMs: clock.monotonicMs() });
  }

  #lose(): void {
    this.#announced = false;
    this.#listed = false;
    if (this.#state.is === "registered") this.#transition({ is: "lost" });
  }

  /** Finds out what no beat tells: the agent may know an instance that the catalog does not list, or not as passing. */
  async #lookAtSelf(): Promise<void> {
    try {
      await this.#look(this.#lifetime.signal);
    } catch {
      // Only a look: the beats find out, and say, that the registry fails.
    }
  }

  async #look(signal: AbortSignal): Promise<Listing> {
    const timeoutMs = registrationDefaults.lookTimeoutMs;
    const { value } = await this.#deps.consul.healthService(this.#instance.name, { signal, timeoutMs });
    const own = value.find(({ id }) => id === this.id);
    const statuses = [...(own?.checks.values() ?? [])];
    const listing: Listing =
      own === undefined
        ? unlisted
        : {
            listed: true,
            beating: own.checks.get(checkId(this.id)) === "passing",
            passing: statuses.every((status) => status === "passing"),
          };
    this.#learn(listing);
    return listing;
  }

  #learn({ listed, passing }: Listing): void {
    // A catalog that never showed us may be hidden from our token: registering again and again would change nothing.
    if (!listed && this.#listed) this.#lose();
    this.#listed = listed;
    const misjudged = this.#serving && !passing && this.#announced;
    if (misjudged && !this.#misjudged) {
      this.#logger.warn({ listed }, "the registry does not list this instance as passing, although it beats");
    }
    this.#misjudged = misjudged;
    this.#deps.meter.gauge("mesh_registration_passing", passing ? 1 : 0, { service: this.#instance.name });
  }

  async #leave(): Promise<void> {
    const { consul, clock, random } = this.#deps;
    const { signal } = this.#lifetime;
    this.#transition({ is: "left" });
    this.#confirmed.reject(new MeshError(Code.UNAVAILABLE, `${this.id} was deregistered before the registry had confirmed it`));
    this.#bell.ring();
    const tooLong = new MeshError(Code.DEADLINE_EXCEEDED, "deregistering took too long");
    const cancelBound = clock.after(registrationDefaults.deregisterMs, () => this.#lifetime.abort(tooLong));
    // A registration in flight would undo what follows.
    await this.#loop;
    for (let failures = 0; ; failures += 1) {
      try {
        await consul.deregisterService(this.id, { signal });
        this.#logger.info({}, "deregistered");
        break;
      } catch (error) {
        if (httpStatus(error) === 404) break;
        if (signal.aborted) {
          this.#logger.warn({}, "not deregistered: the registry is away, and lists the instance until its check expires");
          break;
        }
        // The abort ends the wait, and the next request says so.
        await clock.sleep(backOffMs(error, failures, random), signal).catch(() => {});
      }
    }
    cancelBound();
  }
}
