import { currentCall } from "../base/call-context.ts";
import type { CallContext } from "../base/call-context.ts";
import type { Clock } from "../base/clock.ts";
import { Code } from "../base/code.ts";
import type { Deadline } from "../base/deadline.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Metadata } from "../base/metadata.ts";
import { grantedTimeoutMs } from "../contract/policy.ts";
import type { Policy } from "../contract/policy.ts";
import type { ByteCall } from "../rpc/transport.ts";
import type { CallOptions } from "./client.ts";

/** A call with what has to be let go of when it ends. */
export interface OutgoingCall {
  readonly call: ByteCall;
  /** Undefined: there is nothing to let go of. */
  readonly release: (() => void) | undefined;
}

const noMetadata: Metadata = {};

/** Joins what the caller says, the policy of the method and the call that is being handled. Throws MeshError. */
export function outgoingCall(
  path: string,
  policy: Policy,
  { clock, options }: { clock: Clock; options: CallOptions | undefined },
): OutgoingCall {
  const context = currentCall();
  const signals = joinSignals(options?.signal, context?.signal);
  const deadline = deadlineOf(policy, { clock, askedMs: options?.timeoutMs, inherited: context?.deadline });
  const metadata = metadataOf(options?.metadata, context);
  const call = signals.signal === undefined ? { path, metadata, deadline } : { path, metadata, deadline, signal: signals.signal };
  return { call, release: signals.release };
}

function deadlineOf(
  policy: Policy,
  {
    clock,
    askedMs,
    inherited,
  }: { readonly clock: Clock; readonly askedMs: number | undefined; readonly inherited: Deadline | undefined },
): Deadline {
  if (Number.isNaN(askedMs))
    throw new MeshError(Code.INVALID_ARGUMENT, "timeoutMs is not a number", { reason: "MALFORMED_REQUEST" });
  const own = clock.monotonicMs() + grantedTimeoutMs(policy, askedMs);
  return inherited !== undefined && inherited < own ? inherited : own;
}

function metadataOf(own: Metadata | undefined, context: CallContext | undefined): Metadata {
  if (context === undefined) return own ?? noMetadata;
  const carried: Record<string, string> = { "x-request-id": context.requestId };
  if (context.traceparent !== undefined) carried["traceparent"] = context.traceparent;
  return own === undefined ? carried : { ...carried, ...own };
}

/** One signal of two. Not `AbortSignal.any`: with a long-lived signal it keeps every child. */
function joinSignals(
  own: AbortSignal | undefined,
  incoming: AbortSignal | undefined,
): { readonly signal: AbortSignal | undefined; readonly release: (() => void) | undefined } {
  if (own === undefined || incoming === undefined || own === incoming) return { signal: own ?? incoming, release: undefined };
  if (own.aborted) return { signal: own, release: undefined };
  if (incoming.aborted) return { signal: incoming, release: undefined };
  const both = new AbortController();
  const onOwn = (): void => both.abort(own.reason);
  const onIncoming = (): void => both.abort(incoming.reason);
  own.addEventListener("abort", onOwn);
  incoming.addEventListener("abort", onIncoming);
  return {
    signal: both.signal,
    release() {
      own.removeEventListener("abort", onOwn);
      incoming.removeEventListener("abort", onIncoming);
    },
  };
}
