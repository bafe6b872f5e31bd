/** State of a check. An instance passes while all its checks are `passing`. */
export type CheckStatus = "passing" | "warning" | "critical";

/** TLS of a probe. */
export interface ProbeTls {
  /** Name to ask for and to verify. Empty: the host of the target. */
  readonly serverName: string;
  readonly skipVerify: boolean;
}

/** What is done to find out how a service is. */
export type Probe =
  | { readonly type: "ttl"; readonly ttlMs: number }
  | { readonly type: "grpc"; readonly target: string; readonly service: string; readonly tls: ProbeTls | undefined }
  | {
      readonly type: "http";
      readonly url: string;
      readonly method: string;
      readonly headers: Readonly<Record<string, readonly string[]>>;
      readonly body: string;
      readonly followRedirects: boolean;
      readonly tls: ProbeTls;
    }
  | { readonly type: "tcp"; readonly target: string; readonly tls: ProbeTls | undefined }
  /** Maintenance mode: critical for as long as it exists. */
  | { readonly type: "maintenance" }
  /** The process that serves this answer is alive. */
  | { readonly type: "" };

/** A check as a registration describes it. */
export interface CheckDefinition {
  readonly id: string;
  readonly name: string;
  readonly notes: string;
  /** The service instance that it belongs to; empty: the node. */
  readonly serviceId: string;
  readonly serviceName: string;
  readonly serviceTags: readonly string[];
  readonly probe: Probe;
  /** Time between two probes, as asked for; at least 1 s is waited. 0 for a check that is not probed. */
  readonly intervalMs: number;
  /** Longest wait for one probe. 0: 10 s. */
  readonly timeoutMs: number;
  /** Results in a row before the status turns. */
  readonly thresholds: { readonly passing: number; readonly warning: number; readonly critical: number };
  /** Longest output that is kept, in UTF-16 units. */
  readonly maxOutputLength: number;
  /** The service is removed once the check has been critical for this long. 0: never. */
  readonly deregisterAfterMs: number;
}

/** One check with its state. Never changed: a change is a record of its own. */
export interface CheckRecord extends CheckDefinition {
  readonly status: CheckStatus;
  readonly output: string;
  /** Wall clock, in ms, of the turn to critical; undefined while the check is not critical. */
  readonly criticalSinceMs: number | undefined;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** Id of the node's own check, as Consul has it: it is there while the registry answers, and takes no definition from outside. */
export const nodeCheckId = "serfHealth";

/** Reads a status; undefined if the text is none. */
export function parseCheckStatus(text: string): CheckStatus | undefined {
  return text === "passing" || text === "warning" || text === "critical" ? text : undefined;
}

/** The worst of several statuses; nothing at all is passing. */
export function worstStatus(checks: Iterable<{ readonly status: CheckStatus }>): CheckStatus {
  let worst: CheckStatus = "passing";
  for (const { status } of checks) {
    if (status === "critical") return status;
    if (status === "warning") worst = status;
  }
  return worst;
}
