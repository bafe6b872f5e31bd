import { AsyncLocalStorage } from "node:async_hooks";
import type { Deadline } from "./deadline.ts";
import type { Logger } from "./logger.ts";
import type { Metadata } from "./metadata.ts";

/**
 * What is known about the call that is being handled. It travels by AsyncLocalStorage into every outgoing call, so that
 * deadline, cancellation and trace go on without code of the handler.
 */
export interface CallContext {
  /** `package.Service/Method`. */
  readonly method: string;
  readonly deadline: Deadline;
  /** Aborts when the caller goes, the deadline passes or the server drains. */
  readonly signal: AbortSignal;
  /** What the caller sent. */
  readonly metadata: Metadata;
  /** Address of the caller, `host:port`. */
  readonly peer: string;
  /** 1 for the first attempt (grpc-previous-rpc-attempts + 1). */
  readonly attempt: number;
  /** The caller's `x-request-id`, or one that was made here. It goes on in outgoing calls. */
  readonly requestId: string;
  /** W3C `traceparent` of the call, or undefined. It goes on in outgoing calls. */
  readonly traceparent: string | undefined;
  readonly log: Logger;
  /** Adds metadata to the answer's headers, before its first message. */
  setHeader(name: string, value: string): void;
  /** Adds metadata to the answer's trailers. */
  setTrailer(name: string, value: string): void;
}

const storage = new AsyncLocalStorage<CallContext>();

/** The call that is being handled here, or undefined outside of one. */
export function currentCall(): CallContext | undefined {
  return storage.getStore();
}

/** Runs `work` as part of a call. */
export function runInCall<T>(context: CallContext, work: () => T): T {
  return storage.run(context, work);
}
