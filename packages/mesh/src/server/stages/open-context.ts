import { runInCall } from "../../base/call-context.ts";
import type { CallContext } from "../../base/call-context.ts";
import { Code } from "../../base/code.ts";
import { withDeadline } from "../../base/deadline.ts";
import type { Deadline, DeadlineScope } from "../../base/deadline.ts";
import type { Logger } from "../../base/logger.ts";
import { MeshError } from "../../base/mesh-error.ts";
import { grantedTimeoutMs } from "../../contract/policy.ts";
import { parseTimeoutMs } from "../call-head.ts";
import type { IncomingCall } from "../incoming-call.ts";
import type { Stage } from "../pipeline.ts";

/**
 * Opens the context of the call: its deadline is what the caller asks for within the method's maximum, or the method's
 * default; its signal aborts when the deadline passes, the caller goes or the server drains. Then the call ends at once,
 * with the code of that reason, also when the handler does not listen.
 */
export const openContext: Stage = (next, { name, method, logger, clock, calls, maxHeaderBytes }) => {
  // A watch with a deadline is a watch: a drain tells it to come back, and does not wait for it.
  const finite = method.policy.maxTimeoutMs !== Number.POSITIVE_INFINITY;
  return async (call) => {
    // A client keeps to the setting that says the same, but only once it has come: its first calls need this.
    if (call.head.bytes > maxHeaderBytes) throw headersTooLarge(call.head.bytes, maxHeaderBytes);
    const asked = call.head.timeout;
    const grantedMs = grantedTimeoutMs(method.policy, asked === undefined ? undefined : parseTimeoutMs(asked));
    const deadline = clock.monotonicMs() + grantedMs;
    using scope = withDeadline(deadline, undefined, clock);
    call.onFailure((error) => scope.abort(error));
    using _open = calls.open({ abort: (reason) => scope.abort(reason), finite });
    if (scope.aborted) throw scope.reason;
    const context = createContext(call, { name, deadline, scope, logger });
    call.context = context;
    await settleOrAbort(
      runInCall(context, () => next(call)),
      { scope, context },
    );
  };
};

function headersTooLarge(bytes: number, maxBytes: number): MeshError {
  return new MeshError(Code.RESOURCE_EXHAUSTED, `the headers have ${bytes} bytes, more than ${maxBytes}`, {
    reason: "TOO_LARGE",
  });
}

function createContext(
  call: IncomingCall,
  { name, deadline, scope, logger }: { name: string; deadline: Deadline; scope: DeadlineScope; logger: Logger },
): CallContext {
  const { metadata, peer, attempt, requestId, traceparent } = call.head;
  let log: Logger | undefined;
  return {
    method: name,
    deadline,
    get signal() {
      return scope.signal;
    },
    metadata,
    peer,
    attempt,
    requestId,
    traceparent,
    // Most handlers write nothing: a child logger is made when one does.
    get log() {
      return (log ??= logger.child({ method: name, requestId }));
    },
    setHeader: (key, value) => call.setHeader(key, value),
    setTrailer: (key, value) => call.setTrailer(key, value),
  };
}

/** Waits for the work, or for the abort of its call. What the work throws after that is only logged. */
function settleOrAbort(
  work: Promise<void>,
  { scope, context }: { readonly scope: DeadlineScope; readonly context: CallContext },
): Promise<void> {
  return new Promise((resolve, reject) => {
    scope.onAbort(reject);
    work.then(resolve, (error: unknown) => {
      if (scope.aborted && !isExpected(error)) context.log.error({ err: error }, "the handler failed after its call had ended");
      reject(error);
    });
  });
}

function isExpected(error: unknown): boolean {
  return error instanceof MeshError || (error instanceof Error && error.name === "AbortError");
}
