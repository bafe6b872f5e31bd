import { runInCall } from "../../base/call-context.ts";
import type { CallContext } from "../../base/call-context.ts";
import { Code } from "../../base/code.ts";
import { withDeadline } from "../../base/deadline.ts";
import type { Deadline, DeadlineScope } from "../../base/deadline.ts";
import type { Logger } from "../../base/logger.ts";
import { MeshError } from "../../base/mesh-error.ts";
import type { Metadata } from "../../base/metadata.ts";
import { grantedTimeoutMs } from "../../contract/policy.ts";
import { parseTimeoutMs } from "../call-head.ts";
import type { IncomingCall } from "../incoming-call.ts";
import type { OpenCall } from "../open-calls.ts";
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
    const scope = withDeadline(deadline, undefined, clock);
    const context = new OpenContext(call, { method: name, deadline, scope, finite, logger });
    calls.open(context);
    try {
      call.onFailure(context);
      if (scope.aborted) throw scope.reason;
      call.context = context;
      await settleOrAbort(
        runInCall(context, () => next(call)),
        { scope, context },
      );
    } finally {
      calls.close(context);
      scope[Symbol.dispose]();
    }
  };
};

function headersTooLarge(bytes: number, maxBytes: number): MeshError {
  return new MeshError(Code.RESOURCE_EXHAUSTED, `the headers have ${bytes} bytes, more than ${maxBytes}`, {
    reason: "TOO_LARGE",
  });
}

interface OpenContextParts {
  readonly method: string;
  readonly deadline: Deadline;
  readonly scope: DeadlineScope;
  readonly finite: boolean;
  readonly logger: Logger;
}

/** The context of one call. A class, because there is one a call: getters and functions of an object are made for each. */
class OpenContext implements CallContext, OpenCall {
  readonly method: string;
  readonly deadline: Deadline;
  readonly finite: boolean;
  readonly #call: IncomingCall;
  readonly #scope: DeadlineScope;
  readonly #logger: Logger;
  #log: Logger | undefined;

  constructor(call: IncomingCall, { method, deadline, scope, finite, logger }: OpenContextParts) {
    this.method = method;
    this.deadline = deadline;
    this.finite = finite;
    this.#call = call;
    this.#scope = scope;
    this.#logger = logger;
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  get metadata(): Metadata {
    return this.#call.head.metadata;
  }

  get peer(): string {
    return this.#call.head.peer;
  }

  get attempt(): number {
    return this.#call.head.attempt;
  }

  get requestId(): string {
    return this.#call.head.requestId;
  }

  get traceparent(): string | undefined {
    return this.#call.head.traceparent;
  }

  /** Most handlers write nothing: a child logger is made when one does. */
  get log(): Logger {
    return (this.#log ??= this.#logger.child({ method: this.method, requestId: this.requestId }));
  }

  // Getters, so that a handler may take the functions out of its context: `{ signal, setHeader }`.
  get setHeader(): CallContext["setHeader"] {
    return (name, value) => this.#call.setHeader(name, value);
  }

  get setTrailer(): CallContext["setTrailer"] {
    return (name, value) => this.#call.setTrailer(name, value);
  }

  abort(reason: MeshError): void {
    this.#scope.abort(reason);
  }
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
