import type { Endpoint } from "../base/endpoint.ts";
import type { Outcome } from "../base/outcome.ts";

/** One choice of an endpoint. `done` is called once, when the attempt has ended. */
export interface Pick {
  readonly endpoint: Endpoint;
  done(outcome: Outcome): void;
}

/** Chooses an endpoint for each call. Synchronous, O(1), and knows only Endpoint and Outcome. */
export interface Picker {
  /** Chooses an endpoint whose key is not in `excluded`, or undefined if there is none. */
  pick(excluded?: ReadonlySet<string>): Pick | undefined;
  /** Replaces the endpoints; what was learnt about those that stay is kept. */
  update(endpoints: readonly Endpoint[]): void;
}
