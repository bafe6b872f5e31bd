/**
 * Fail static: what a registry says is there is believed at once; that something is gone is believed only from a registry
 * that has shown it can know. One pure decision, asked once for each answer that misses something:
 *
 * 1. A registry that failed, or whose index fell, within the settle time may have lost its state: doubt. Those who were
 *    forgotten register again within that time.
 * 2. All went, but some of them are still registered, only none passes: doubt. Connections decide (panic mode).
 * 3. A process that registers itself doubts a registry that does not list it, with the health that it reports, and
 *    believes one that does.
 * 4. A process that registers nothing (a client, a test, the command line) believes that some went. That all went it
 *    believes if the registry still lists every other service of which it holds endpoints, and there is one: an emptied
 *    registry would look the same otherwise.
 */

/** What an answer misses of the set that is known. */
export type Loss = "none" | "some" | "all";

/**
 * What the registry knows of this process. `known`: it lists all that we registered, with the health that we report.
 * `unknown`: it does not, it did not answer, or it has known us again for less than the settle time. `stranger`: we have
 * registered nothing.
 */
export type Standing = "known" | "unknown" | "stranger";

/** What this process has registered itself: the witness of whether a registry has kept its state. */
export interface OwnRegistrations {
  /** Nothing is registered, or nothing was confirmed yet: `stranger`, without asking. */
  readonly isEmpty: boolean;
  /** Asks the registry. */
  standing(signal: AbortSignal): Promise<Exclude<Standing, "stranger">>;
}

/** What is known besides the answer. A field that is missing has not been asked for. */
export interface Evidence {
  /** The registry answered without failure, and its index did not fall, for the settle time. */
  readonly settled: boolean;
  readonly standing?: Standing;
  /** How many of the known instances are still registered, whatever their checks say. */
  readonly survivors?: number;
  /** The registry lists every other service that we hold endpoints of, and there is one. */
  readonly listsOthers?: boolean;
}

/**
 * `believe`: take the answer as it is. `doubt`: keep what is known, add what the answer adds, ask again. `ask-…`: the
 * decision needs that evidence.
 */
export type Verdict = "believe" | "doubt" | "ask-survivors" | "ask-standing" | "ask-others";

/** How long a registry must have been without failure before an absence is believed, in ms: all register again within it. */
export const settleMs = 5_000;

/** Decides on an answer of the registry, or says which evidence is missing; it is asked for only when it decides. */
export function judge(loss: Loss, evidence: Evidence): Verdict {
  if (loss === "none") return "believe";
  if (!evidence.settled) return "doubt";
  if (loss === "all") {
    if (evidence.survivors === undefined) return "ask-survivors";
    if (evidence.survivors > 0) return "doubt";
  }
  if (evidence.standing === undefined) return "ask-standing";
  if (evidence.standing === "unknown") return "doubt";
  if (evidence.standing === "known" || loss === "some") return "believe";
  if (evidence.listsOthers === undefined) return "ask-others";
  return evidence.listsOthers ? "believe" : "doubt";
}

/** What an answer misses of what is known, by key. */
export function lossOf(known: ReadonlyMap<string, unknown>, answered: ReadonlyMap<string, unknown>): Loss {
  let missing = 0;
  for (const key of known.keys()) if (!answered.has(key)) missing += 1;
  if (missing === 0) return "none";
  // An answer that replaces every known entry by others still shows that the registry knows the service.
  return answered.size > 0 ? "some" : "all";
}
