import { badRequest, notSupported, Problem } from "../problem.ts";
import { parseDurationMs } from "../state/duration.ts";

/** How a read was asked for. */
export interface ReadOptions {
  /** Wait until the index is above this one; 0: answer at once. */
  readonly index: number;
  /** Longest wait, before jitter. */
  readonly waitMs: number;
  /** With one process they are all the same; the answer says which was asked for. */
  readonly consistency: "leader" | "stale" | "consistent";
  /** Empty: none. */
  readonly filter: string;
  /** Only instances whose checks all pass. */
  readonly passing: boolean;
  /** Only instances with all of these tags. */
  readonly tags: readonly string[];
}

/** Waits of Consul's blocking queries (API, "Blocking Queries"). */
export const waitLimits = {
  /** Without `wait`: 5 minutes. */
  defaultMs: 300_000,
  /** A longer `wait` is cut to 10 minutes. */
  maxMs: 600_000,
} as const;

const maxIndex = 2n ** 64n - 1n;

/** Reads the query parameters that reads have in common. Throws Problem 400 for what cannot be read. */
export function parseReadOptions(query: URLSearchParams, datacenter: string): ReadOptions {
  refuseScopes(query, datacenter);
  const stale = isSet(query, "stale");
  const consistent = isSet(query, "consistent");
  if (stale && consistent) throw badRequest("Cannot specify ?stale with ?consistent, conflicting semantics.");
  if (consistent && isSet(query, "cached")) throw badRequest("Cannot specify ?cached with ?consistent, conflicting semantics.");
  return {
    index: parseIndex(query.get("index") ?? ""),
    waitMs: parseWaitMs(query.get("wait") ?? ""),
    consistency: stale ? "stale" : consistent ? "consistent" : "leader",
    filter: query.get("filter") ?? "",
    passing: parsePassing(query),
    tags: query.getAll("tag"),
  };
}

/** Reads `wait`: the default for nothing and for zero, cut to the longest wait. Throws Problem 400. */
export function parseWaitMs(text: string): number {
  const waitMs = text === "" ? 0 : parseDurationMs(text);
  if (waitMs === undefined) throw badRequest("Invalid wait time");
  return waitMs <= 0 ? waitLimits.defaultMs : Math.min(waitLimits.maxMs, waitMs);
}

/** Refuses what only other editions or further registries have. */
export function refuseScopes(query: URLSearchParams, datacenter: string): void {
  for (const name of ["ns", "partition", "peer", "sg", "node-meta"]) if (query.has(name)) throw notSupported(`?${name}`);
  const asked = query.get("dc") ?? "";
  if (asked !== "" && asked !== datacenter) throw new Problem(500, "No path to datacenter");
}

function parseIndex(text: string): number {
  if (text === "") return 0;
  if (!/^\d{1,20}$/.test(text) || BigInt(text) > maxIndex) throw badRequest("Invalid index");
  return Number(text);
}

function parsePassing(query: URLSearchParams): boolean {
  const text = query.get("passing");
  if (text === null) return false;
  if (text === "" || /^(?:1|t|true)$/i.test(text)) return true;
  if (/^(?:0|f|false)$/i.test(text)) return false;
  throw badRequest("Invalid value for ?passing");
}

function isSet(query: URLSearchParams, name: string): boolean {
  return query.has(name);
}
