import type { Code } from "./code.ts";

/** How one attempt of a call ended: what a picker learns from. */
export interface Outcome {
  readonly code: Code;
  /** From the pick to the end of the attempt, in ms; for a stream to its first message. */
  readonly latencyMs: number;
  /** False: the attempt never reached a handler, so it can be made again whatever the method does. */
  readonly sent: boolean;
}
