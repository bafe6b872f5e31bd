import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Registrar } from "../discovery/registrar.ts";
import type { Implementation } from "./implement.ts";
import type { ServerConfig } from "./server-config.ts";

/** What a server is made of. */
export interface ServeOptions {
  /** The services, from `implement()`. Health and reflection are added. */
  readonly services: readonly Implementation[];
  readonly config: ServerConfig;
  readonly logger: Logger;
  /** Registers the services, each under its registry name. Default: they are not registered. */
  readonly registrar?: Registrar;
  /** Version of this instance, for its registration. Default: none. */
  readonly version?: string;
  /** Default: measures nothing. */
  readonly meter?: Meter;
  /** Default: the clock of this machine. */
  readonly clock?: Clock;
  /** Whether what the services need is there. Asked every second; while it says no, the server is not ready. Default: yes. */
  readonly ready?: () => Promise<boolean> | boolean;
}

/** A server that listens. Disposing drains it. */
export interface Server extends AsyncDisposable {
  /** `host:port` that others call. */
  readonly address: string;
  /** `host:port` of the admin listener. */
  readonly adminAddress: string;
  /** Resolves when the server is ready for the first time. Rejects with the signal's reason. */
  ready(signal?: AbortSignal): Promise<void>;
  /** Stops serving without losing a call, within the drain timeout. Drain twice is one drain. */
  drain(): Promise<void>;
}

/** Listens and serves. Throws when the address cannot be listened on. */
export async function serve(options: ServeOptions): Promise<Server> {
  throw new Error(`serve of ${options.services.length} services is being written`);
}
