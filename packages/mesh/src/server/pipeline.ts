import type { Validator } from "@bufbuild/protovalidate";
import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import type { Logger } from "../base/logger.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Meter } from "../base/meter.ts";
import type { TurnBudget } from "../base/turn-budget.ts";
import type { MethodImplementation } from "./implement.ts";
import type { IncomingCall } from "./incoming-call.ts";
import type { OpenCalls } from "./open-calls.ts";
import { logCall } from "./stages/log-call.ts";
import { mapErrors } from "./stages/map-errors.ts";
import { openContext } from "./stages/open-context.ts";
import { checkRequests } from "./stages/check-requests.ts";
import { runHandler } from "./stages/run-handler.ts";

/** Handles one call to its end. */
export type Handle = (call: IncomingCall) => Promise<void>;

/** What a stage is built from, once for each method. */
export interface StageParts {
  /** `package.Service/Method`. */
  readonly name: string;
  readonly method: MethodImplementation;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly calls: OpenCalls;
  /** Shared by all streams. */
  readonly turns: TurnBudget;
  /** Largest header block of a call. */
  readonly maxHeaderBytes: number;
  /** Shared, because it keeps the compiled rules of each type. */
  readonly validator: Validator;
}

/** What is the same for all methods of a server. */
export type SharedParts = Omit<StageParts, "name" | "method">;

/** One thing that happens around a handler. Built once for each method; `next` is everything inside it. */
export type Stage = (next: Handle, parts: StageParts) => Handle;

/** Everything around a handler, from the outside in. */
export const stages: readonly Stage[] = [
  // Outermost: its one line holds the status that was sent and the time of everything inside, whatever happens there.
  logCall,
  // Next: every failure below, a bug in a stage too, becomes the one status that the caller sees.
  mapErrors,
  // Before anything is read: a request that trickles in is bound by the deadline as well, and cancelling ends the read.
  openContext,
  // Inside the context, so that a request that breaks its contract is refused within its deadline; before the handler,
  // which therefore only sees requests that keep it.
  checkRequests,
];

/** Joins the stages around a method's handler. */
export function buildPipeline(method: MethodImplementation, shared: SharedParts): Handle {
  const parts: StageParts = { ...shared, method, name: method.path.slice(1) };
  return stages.reduceRight((next, stage) => stage(next, parts), runHandler(method, parts.turns));
}

/** Refuses a method that there is not: the outer stages, and nothing that needs a method. */
export function buildRefusal(shared: SharedParts): Handle {
  const refuse: Handle = () => {
    throw new MeshError(Code.UNIMPLEMENTED, "there is no such method here", { reason: "UNKNOWN_METHOD" });
  };
  return logCall(mapErrors(refuse), { ...shared, name: "unknown" });
}
