import type { Clock } from "../base/clock.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import type { Evidence, Standing } from "./fail-static.ts";
import { judge, lossOf } from "./fail-static.ts";
import type { FollowOptions } from "./follow-query.ts";
import { followQuery } from "./follow-query.ts";
import type { TroubleLog } from "./trouble-log.ts";

/** Entries by key, sorted by it: equal content has equal form. */
export type Entries<V> = ReadonlyMap<string, V>;

/** What is known of a resource. */
export interface Known<V> {
  readonly entries: Entries<V>;
  /** The registry's last answer misses some of the entries, and was not believed. */
  readonly doubted: boolean;
  /** When an answer of the registry last agreed, in ms of `Clock.now`. */
  readonly confirmedAtMs: number;
}

/** Where the evidence of fail-static.ts comes from. What rejects leaves the answer in doubt, to be asked for again soon. */
export interface Witnesses {
  standing(signal: AbortSignal): Promise<Standing>;
  /** Keys of the entries that are still registered, whatever their health. */
  registeredKeys(signal: AbortSignal): Promise<ReadonlySet<string>>;
  listsOthers(signal: AbortSignal): Promise<boolean>;
}

/** What followEntries works with. */
export interface FollowEntriesOptions<V> {
  /** What is followed, such as `service user`: for the log and the label of metrics. */
  readonly resource: string;
  readonly query: FollowOptions<Entries<V>>["query"];
  readonly witnesses: Witnesses;
  /** Called with what is known after each answer; `changed` says whether the entries differ from those before. */
  publish(known: Known<V>, changed: boolean): void;
  readonly trouble: TroubleLog;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly random: Random;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/** Follows entries by blocking queries until the signal aborts, and publishes what is to be believed (fail-static.ts). */
export async function followEntries<V>(options: FollowEntriesOptions<V>): Promise<void> {
  const { resource, witnesses, trouble, meter, clock, signal } = options;
  const labels = { resource };
  let known: Known<V> | undefined;

  const measureAge = (): void => {
    if (known !== undefined) meter.gauge("mesh_discovery_age_seconds", (clock.now() - known.confirmedAtMs) / 1_000, labels);
  };
  const publish = (entries: Entries<V>, doubted: boolean): void => {
    const changed = known === undefined || !sameEntries(known.entries, entries);
    known = { entries, doubted, confirmedAtMs: doubted && known !== undefined ? known.confirmedAtMs : clock.now() };
    options.publish(known, changed);
    measureAge();
  };

  await followQuery<Entries<V>>({
    ...options,
    async onAnswer(answered, { settled }) {
      trouble.calm();
      const before = known?.entries ?? new Map<string, V>();
      // What an answer adds is there at once, whatever has to be asked about what it misses.
      if (lossOf(before, answered) !== "none") publish(mergeEntries(before, answered), true);
      const believed = await isBelieved({ before, answered, settled }, witnesses, signal);
      if (believed) publish(answered, false);
      else meter.count("mesh_discovery_doubted_total", labels);
      return believed ? "believed" : "doubted";
    },
    onFailure(error) {
      meter.count("mesh_discovery_failures_total", labels);
      measureAge();
      trouble.trouble(error, `the registry fails: what is known of ${resource} stays`);
    },
  });
}

/** Entries in the order of their keys. The first of two with the same key holds. */
export function sortEntries<V>(entries: Iterable<readonly [string, V]>): Entries<V> {
  const sorted = new Map<string, V>();
  for (const [key, value] of [...entries].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    if (!sorted.has(key)) sorted.set(key, value);
  }
  return sorted;
}

function mergeEntries<V>(before: Entries<V>, answered: Entries<V>): Entries<V> {
  return sortEntries(new Map([...before, ...answered]));
}

function sameEntries(a: Entries<unknown>, b: Entries<unknown>): boolean {
  return JSON.stringify([...a]) === JSON.stringify([...b]);
}

/** An answer, and what was known before it. */
interface Question<V> {
  readonly before: Entries<V>;
  readonly answered: Entries<V>;
  readonly settled: boolean;
}

/** Judges an answer, gathering the evidence that the judgement asks for. */
async function isBelieved<V>(
  { before, answered, settled }: Question<V>,
  witnesses: Witnesses,
  signal: AbortSignal,
): Promise<boolean> {
  const loss = lossOf(before, answered);
  let evidence: Evidence = { settled };
  try {
    for (;;) {
      const verdict = judge(loss, evidence);
      switch (verdict) {
        case "ask-survivors": {
          const registered = await witnesses.registeredKeys(signal);
          evidence = { ...evidence, survivors: [...before.keys()].filter((key) => registered.has(key)).length };
          break;
        }
        case "ask-standing":
          evidence = { ...evidence, standing: await witnesses.standing(signal) };
          break;
        case "ask-others":
          evidence = { ...evidence, listsOthers: await witnesses.listsOthers(signal) };
          break;
        default:
          return verdict === "believe";
      }
    }
  } catch {
    // A registry that says no more is not to be believed; the next query finds out, and logs, that it fails.
    return false;
  }
}
