/** An address with its port, as in `TaggedAddresses`. */
export interface ServiceAddress {
  readonly address: string;
  readonly port: number;
}

/** One registered instance of a service, without its checks. Never changed: a change is a record of its own. */
export interface ServiceRecord {
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
  /** Empty: the address of the node. */
  readonly address: string;
  readonly port: number;
  readonly taggedAddresses: Readonly<Record<string, ServiceAddress>>;
  readonly meta: Readonly<Record<string, string>>;
  /** Shares of the load while passing and while warning. */
  readonly weights: { readonly passing: number; readonly warning: number };
  readonly enableTagOverride: boolean;
  /** The service speaks mutual TLS by itself (`Connect.Native`). */
  readonly connectNative: boolean;
  /** Index at which the id appeared. */
  readonly createIndex: number;
  /** Index of the last change. */
  readonly modifyIndex: number;
}

/** A service as a registration describes it. */
export type ServiceDefinition = Omit<ServiceRecord, "createIndex" | "modifyIndex">;

/** The machine that this registry stands for: there is one. */
export interface NodeRecord {
  /** UUID; stays the same with a data directory. */
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly datacenter: string;
  readonly meta: Readonly<Record<string, string>>;
}
