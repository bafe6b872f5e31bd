import { createFilter } from "../filter/create-filter.ts";
import { FilterError } from "../filter/filter-error.ts";
import type { Filter } from "../filter/create-filter.ts";
import type { Shape } from "../filter/shape.ts";
import { Problem } from "../problem.ts";
import type { Answer, Exchange } from "./exchange.ts";
import { parseReadOptions } from "./read-options.ts";
import type { ReadOptions } from "./read-options.ts";
import type { RegistryContext } from "./registry-context.ts";
import { waitUntil } from "./wait-until.ts";

/** A read that can wait for an index. */
export interface Read {
  /** What it reads, and waits for. */
  readonly topic: string;
  /** The rows that `?filter` sees. */
  readonly shape: Shape;
  /** Reads. Called once, at the end of the wait. */
  readonly value: (options: ReadOptions, isWanted: Filter) => unknown;
}

/** Answers a read of the catalog as Consul's blocking queries do: waits for the index, filters, and says the index it has. */
export async function answerRead(context: RegistryContext, exchange: Exchange, read: Read): Promise<Answer> {
  const { catalog } = context;
  const options = parseReadOptions(exchange.query, catalog.node.datacenter);
  const isWanted = filterOf(options.filter, read.shape);
  const isDue = (): boolean => options.index === 0 || catalog.indexOf(read.topic) > options.index;
  await waitUntil(context, { topic: read.topic, isDue, waitMs: options.waitMs, signal: exchange.signal });
  const headers = {
    "X-Consul-Index": String(catalog.indexOf(read.topic)),
    "X-Consul-KnownLeader": "true",
    "X-Consul-LastContact": "0",
    "X-Consul-Effective-Consistency": options.consistency,
    "X-Consul-Query-Backend": "blocking-query",
  };
  return { headers, json: catching(() => read.value(options, isWanted)) };
}

/** Makes the filter of `?filter`; without one everything is wanted. Throws Problem 500, as Consul answers a bad filter. */
export function filterOf(source: string, shape: Shape): Filter {
  return source === "" ? () => true : catching(() => createFilter(source, shape));
}

function catching<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof FilterError) throw new Problem(500, `Failed to create boolean expression evaluator: ${error.message}`);
    throw error;
  }
}
