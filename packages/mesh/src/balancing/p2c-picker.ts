import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import type { Code as StatusCode } from "../base/code.ts";
import type { Endpoint } from "../base/endpoint.ts";
import type { Outcome } from "../base/outcome.ts";
import type { Random } from "../base/random.ts";
import type { Pick, Picker } from "./picker.ts";

/** What can be set about picking. */
export interface P2cSettings {
  /** Time in which a measured latency loses two thirds of its say (Finagle, Linkerd: peak EWMA decay), in ms. Default: 10,000. */
  readonly decayMs: number;
  /** Share of a higher latency that counts at once: slowness is believed sooner than speed. Default: 0.3. */
  readonly riseRatio: number;
  /** Latency that is assumed of the first endpoints before their first answers, in ms. Default: 1. */
  readonly initialLatencyMs: number;
  /** For how long an endpoint is avoided after its first UNAVAILABLE; doubles with each further one, in ms. Default: 50. */
  readonly penaltyBaseMs: number;
  /** Cap of that time, in ms. Default: 2,000. */
  readonly penaltyMaxMs: number;
}

/** The defaults of picking. */
export const p2cDefaults: P2cSettings = {
  decayMs: 10_000,
  riseRatio: 0.3,
  initialLatencyMs: 1,
  penaltyBaseMs: 50,
  penaltyMaxMs: 2_000,
};

interface Node {
  endpoint: Endpoint;
  inFlight: number;
  latencyMs: number;
  latencyAtMs: number;
  failures: number;
  avoidedUntilMs: number;
  /** It did not answer when it was last looked at. */
  doubted: boolean;
  /** Rises when it answers again: what calls from before then took says nothing of it. */
  era: number;
}

/** Codes of calls that were given up, or that the endpoint could not answer. */
const saysNothingOfSpeed: ReadonlySet<StatusCode> = new Set([
  Code.CANCELLED,
  Code.DEADLINE_EXCEEDED,
  Code.RESOURCE_EXHAUSTED,
  Code.INTERNAL,
  Code.UNKNOWN,
  Code.DATA_LOSS,
]);

function meanLatencyMs(nodes: readonly Node[]): number {
  return nodes.reduce((sum, { latencyMs }) => sum + latencyMs, 0) / nodes.length;
}

/** Below this, latencies are equal: differences of microseconds are noise. */
const leastLatencyMs = 0.1;

/**
 * Picks by two random choices. Of the two, the chance of each falls with its latency and with the square of its calls in
 * flight, and rises with its weight: equal endpoints get equal shares, a slow one gets what is left for it, and none is
 * ever starved, so that one which has recovered is noticed. An endpoint that failed with UNAVAILABLE is avoided for a
 * bounded time while there are others, and one that is doubtful is not picked at all. O(1), unless most are avoided.
 */
export function createP2cPicker(options: {
  readonly clock: Clock;
  readonly random: Random;
  readonly settings?: Partial<P2cSettings>;
  /** True: the endpoint does not answer at the moment. Asked at each pick. Default: none is. */
  readonly isDoubtful?: (endpoint: Endpoint) => boolean;
}): Picker {
  const { clock, random, isDoubtful = () => false } = options;
  const settings: P2cSettings = { ...p2cDefaults, ...options.settings };
  let nodes: readonly Node[] = [];

  const preference = (node: Node, nowMs: number): number => {
    const age = nowMs - node.latencyAtMs;
    const latencyMs = Math.max(leastLatencyMs, age > 0 ? node.latencyMs * Math.exp(-age / settings.decayMs) : node.latencyMs);
    return node.endpoint.weight / (latencyMs * (node.inFlight + 1) ** 2);
  };

  /** 0: none. 1: it failed a short while ago. 2: it does not answer. */
  const reluctance = (node: Node, nowMs: number): number => {
    if (isDoubtful(node.endpoint)) {
      node.doubted = true;
      return 2;
    }
    if (node.doubted) {
      // It begins as a newcomer would.
      const others = nodes.filter((other) => other !== node && !other.doubted);
      node.doubted = false;
      node.era++;
      if (others.length > 0) node.latencyMs = meanLatencyMs(others);
      node.latencyAtMs = nowMs;
    }
    return node.avoidedUntilMs > nowMs ? 1 : 0;
  };

  const choose = (first: Node, second: Node, nowMs: number): Node => {
    const difference = reluctance(first, nowMs) - reluctance(second, nowMs);
    if (difference !== 0) return difference > 0 ? second : first;
    const forFirst = preference(first, nowMs);
    const forSecond = preference(second, nowMs);
    return random() * (forFirst + forSecond) < forFirst ? first : second;
  };

  const pickOf = (candidates: readonly Node[], nowMs: number): Node | undefined => {
    const count = candidates.length;
    if (count < 2) return candidates[0];
    let chosen: Node | undefined;
    // A pair of avoided ones is drawn again, twice at most.
    for (let draw = 0; draw < 3 && (chosen === undefined || reluctance(chosen, nowMs) > 0); draw++) {
      const first = Math.floor(random() * count);
      const step = 1 + Math.floor(random() * (count - 1));
      chosen = choose(candidates[first] as Node, candidates[(first + step) % count] as Node, nowMs);
    }
    if (chosen === undefined || reluctance(chosen, nowMs) < 2) return chosen;
    // Few are left that answer: the draws have missed them.
    const answering = candidates.filter(({ endpoint }) => !isDoubtful(endpoint));
    return answering.length === 0 ? chosen : pickOf(answering, nowMs);
  };

  const learn = (node: Node, outcome: Outcome, era: number): void => {
    const nowMs = clock.monotonicMs();
    if (outcome.code === Code.UNAVAILABLE) {
      // Calls that fail together, with one connection, are one failure.
      if (node.avoidedUntilMs > nowMs) return;
      const avoidMs = Math.min(settings.penaltyMaxMs, settings.penaltyBaseMs * 2 ** Math.min(node.failures, 20));
      node.failures++;
      node.avoidedUntilMs = nowMs + avoidMs;
      return;
    }
    if (!outcome.sent || era !== node.era) return;
    // A call that was given up says only that the endpoint is at least that slow, and to fail fast is no speed.
    const onlySlower = saysNothingOfSpeed.has(outcome.code);
    if (!onlySlower) {
      node.failures = 0;
      node.avoidedUntilMs = 0;
    }
    const keep = Math.exp(-Math.max(0, nowMs - node.latencyAtMs) / settings.decayMs);
    const known = node.latencyMs * keep;
    if (outcome.latencyMs > known) node.latencyMs = known + (outcome.latencyMs - known) * settings.riseRatio;
    else if (onlySlower) return;
    else node.latencyMs = known + outcome.latencyMs * (1 - keep);
    node.latencyAtMs = nowMs;
  };

  const pickNode = (node: Node): Pick => {
    let ended = false;
    const { era } = node;
    node.inFlight++;
    return {
      endpoint: node.endpoint,
      done(outcome) {
        if (ended) return;
        ended = true;
        node.inFlight--;
        learn(node, outcome, era);
      },
    };
  };

  return {
    pick(excluded) {
      const candidates =
        excluded === undefined || excluded.size === 0 ? nodes : nodes.filter(({ endpoint }) => !excluded.has(endpoint.key));
      const node = candidates.length < 2 ? candidates[0] : pickOf(candidates, clock.monotonicMs());
      return node === undefined ? undefined : pickNode(node);
    },
    update(endpoints) {
      const known = new Map(nodes.map((node) => [node.endpoint.key, node]));
      const nowMs = clock.monotonicMs();
      // A newcomer is taken to be as fast as its peers: it is neither flooded nor starved.
      const expectedLatencyMs = nodes.length === 0 ? settings.initialLatencyMs : meanLatencyMs(nodes);
      const next = new Map<string, Node>();
      for (const endpoint of endpoints) {
        const node = known.get(endpoint.key) ?? {
          endpoint,
          inFlight: 0,
          latencyMs: expectedLatencyMs,
          latencyAtMs: nowMs,
          failures: 0,
          avoidedUntilMs: 0,
          doubted: false,
          era: 0,
        };
        node.endpoint = endpoint;
        next.set(endpoint.key, node);
      }
      nodes = [...next.values()];
    },
  };
}
