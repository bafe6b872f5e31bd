/** What a process tells the registry about itself. */
export interface Instance {
  /** Name of the service in the registry. */
  readonly name: string;
  /** Address that others call, not the one that is listened on. */
  readonly host: string;
  readonly port: number;
  /** `protocol` (`grpc`, `http`), `version`, `zone`; at most 64 entries. */
  readonly meta: Readonly<Record<string, string>>;
}

/** The id of an instance in the registry: `name-host-port`. */
export function instanceId(instance: Instance): string {
  return `${instance.name}-${instance.host}-${instance.port}`;
}

/** One instance that is kept registered until it is disposed; disposing deregisters it. */
export interface Registration extends AsyncDisposable {
  readonly id: string;
  /** True once the registry has confirmed the registration and a passing beat, false while it has forgotten us. */
  readonly registered: boolean;
  /** Resolves when the registration is confirmed for the first time. Rejects with the signal's reason. */
  ready(signal?: AbortSignal): Promise<void>;
  /** What the next beat says: mirrors grpc.health.v1. Sent at once. */
  setServing(serving: boolean): void;
  /** Deregisters: the instance is no longer listed. Never throws; a registry that is away is logged. */
  deregister(): Promise<void>;
}

/** Registers instances. */
export interface Registrar {
  /**
   * Registers an instance and beats for it. Returns at once and keeps trying: a registry that is away, or that forgets the
   * instance, delays readiness and nothing else.
   */
  register(instance: Instance): Registration;
}
