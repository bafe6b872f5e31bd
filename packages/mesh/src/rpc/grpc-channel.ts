import { Metadata as GrpcMetadata, connectivityState, propagate, status as grpcStatus } from "@grpc/grpc-js";
import type { ClientOptions, experimental } from "@grpc/grpc-js";
import { currentCall } from "../base/call-context.ts";
import { systemClock } from "../base/clock.ts";
import { toCode } from "../base/code.ts";
import type { Deadline } from "../base/deadline.ts";
import { callerGone, withDeadline } from "../base/deadline.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Metadata } from "../base/metadata.ts";
import type { ByteStream, ServiceTransport } from "./transport.ts";

/** A channel as grpc-js' clients take it. */
export type GrpcChannel = NonNullable<ClientOptions["channelOverride"]>;

type GrpcCall = experimental.CallStream;
type GrpcListener = Parameters<GrpcCall["start"]>[1];
type GrpcDeadline = Parameters<GrpcChannel["createCall"]>[1];
type GrpcParent = Parameters<GrpcChannel["createCall"]>[3];

/**
 * A channel for grpc-js clients over our transport: `new UserServiceClient(target, credentials.createInsecure(), {
 * channelOverride: channel })`. Calls of all four kinds, metadata, deadlines, cancellation, status details and
 * `CallOptions.parent` work as with a channel of grpc-js; the incoming call that is being handled gives its deadline, its
 * cancellation, `x-request-id` and `traceparent` by itself. Call credentials are refused: they need TLS.
 * `target` is what `getTarget` and `getPeer` say. Closing the channel refuses further calls; the transport goes on.
 */
export function createGrpcChannel(service: ServiceTransport, target: string): GrpcChannel {
  const closing = new AbortController();
  let calls = 0;
  // Calls wait for endpoints by themselves, so the channel is always ready for them.
  const state = (): connectivityState => (closing.signal.aborted ? connectivityState.SHUTDOWN : connectivityState.READY);
  return {
    close: () => closing.abort(),
    getTarget: () => target,
    getConnectivityState: state,
    watchConnectivityState(current, deadline, callback) {
      if (state() !== current) return queueMicrotask(() => callback());
      const waitMs = Math.min(Number(deadline) - Date.now(), 2 ** 31 - 1);
      const onClose = (): void => {
        stop();
        callback();
      };
      const stop = systemClock.after(Math.max(0, waitMs), () => {
        closing.signal.removeEventListener("abort", onClose);
        callback(new Error("the state of the channel did not change before the deadline"));
      });
      closing.signal.addEventListener("abort", onClose, { once: true });
    },
    // There is no channelz of ours; grpc-js gives an id of 0 where it is off, too.
    getChannelzRef: () => ({ kind: "channel" as ReturnType<GrpcChannel["getChannelzRef"]>["kind"], id: 0, name: target }),
    createCall(method, deadline, _host, parent, flags) {
      if (closing.signal.aborted) throw new Error(`the channel to ${target} was closed`);
      calls++;
      return createGrpcCall(service, { method, target, number: calls, deadline, parent, flags: flags ?? propagate.DEFAULTS });
    },
  };
}

interface GrpcCallOptions {
  readonly method: string;
  readonly target: string;
  readonly number: number;
  readonly deadline: GrpcDeadline;
  readonly parent: GrpcParent;
  readonly flags: number;
}

function createGrpcCall(service: ServiceTransport, options: GrpcCallOptions): GrpcCall {
  const abort = new AbortController();
  const reads = createReads(abort.signal);
  let stream: ByteStream | undefined;

  return {
    start(metadata, listener) {
      const deadline = effectiveDeadline(options);
      const unlink = linkCancellation(abort, options);
      stream = service.stream({
        path: options.method,
        metadata: { ...carriedMetadata(), ...(metadata.toHttp2Headers() as Metadata) },
        deadline,
        signal: abort.signal,
      });
      void deliver(stream, listener, () => reads.next(deadline)).finally(unlink);
    },
    sendMessageWithContext(context, message) {
      const sent = (): void => context.callback?.();
      // A call that has failed says so by its status; the writer has only to be let go.
      if (stream === undefined) sent();
      else stream.send(message).then(sent, sent);
    },
    startRead: () => reads.ask(),
    halfClose: () => stream?.end(),
    cancelWithStatus: (code, details) => abort.abort(new MeshError(toCode(code), details)),
    getPeer: () => options.target,
    getCallNumber: () => options.number,
    setCredentials() {
      throw new Error("call credentials are not supported: they need TLS; send metadata instead");
    },
    getAuthContext: () => null,
  };
}

/** Counts how many messages the listener has asked for. */
function createReads(signal: AbortSignal): { ask(): void; next(deadline: Deadline): Promise<void> } {
  let asked = 0;
  let wake: (() => void) | undefined;
  return {
    ask() {
      asked++;
      wake?.();
    },
    /** Resolves when one more is wanted; rejects when the call is cancelled, or its deadline passes, before. */
    async next(deadline) {
      if (asked === 0) {
        using scope = withDeadline(deadline, signal, systemClock);
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        wake = resolve;
        const onAbort = (): void => reject(scope.signal.reason);
        if (scope.signal.aborted) onAbort();
        scope.signal.addEventListener("abort", onAbort);
        await promise;
        wake = undefined;
      }
      asked--;
    },
  };
}

/** Tells the listener of everything, in grpc-js' order: headers, each message when it is asked for, status. */
async function deliver(stream: ByteStream, listener: GrpcListener, wanted: () => Promise<void>): Promise<void> {
  let status: Parameters<GrpcListener["onReceiveStatus"]>[0];
  try {
    const headers = toGrpcMetadata(await stream.headers);
    tell(() => listener.onReceiveMetadata(headers));
    for await (const message of stream.messages) {
      await wanted();
      tell(() => listener.onReceiveMessage(Buffer.from(message.buffer, message.byteOffset, message.byteLength)));
    }
    status = { code: grpcStatus.OK, details: "OK", metadata: toGrpcMetadata(await stream.trailers) };
  } catch (thrown) {
    const error = thrown instanceof MeshError ? thrown : callerGone(thrown);
    stream.cancel(error);
    status = { code: error.code, details: error.detail, metadata: toGrpcMetadata(error.metadata) };
  }
  tell(() => listener.onReceiveStatus(status));
}

/** The listener runs code of others: what that throws is uncaught, as with grpc-js, and nothing of the call's. */
function tell(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

function toGrpcMetadata(metadata: Metadata): GrpcMetadata {
  return GrpcMetadata.fromHttp2Headers(metadata as Record<string, string | string[]>);
}

/** What goes on from the call that is being handled. */
function carriedMetadata(): Metadata {
  const call = currentCall();
  if (call === undefined) return {};
  return call.traceparent === undefined
    ? { "x-request-id": call.requestId }
    : { "x-request-id": call.requestId, traceparent: call.traceparent };
}

function effectiveDeadline({ deadline, parent, flags }: GrpcCallOptions): Deadline {
  const own = toDeadline(deadline);
  const inherited =
    parent !== null && (flags & propagate.DEADLINE) !== 0 ? toDeadline(parent.getDeadline()) : Number.POSITIVE_INFINITY;
  return Math.min(own, inherited, currentCall()?.deadline ?? Number.POSITIVE_INFINITY);
}

/** grpc-js counts deadlines on the wall clock. */
function toDeadline(deadline: GrpcDeadline): Deadline {
  return systemClock.monotonicMs() + (Number(deadline) - systemClock.now());
}

/** Cancels the call with its parent, and with the call that is being handled. Gives the function that lets go of both. */
function linkCancellation(abort: AbortController, { parent, flags }: GrpcCallOptions): () => void {
  const handled = currentCall()?.signal;
  const follows = parent !== null && (flags & propagate.CANCELLATION) !== 0 ? parent : undefined;
  const onParent = (): void => abort.abort(callerGone());
  const onHandled = (): void => abort.abort(handled?.reason);
  if (handled?.aborted === true) onHandled();
  else if (follows?.cancelled === true) onParent();
  handled?.addEventListener("abort", onHandled, { once: true });
  follows?.once("cancelled", onParent);
  return () => {
    handled?.removeEventListener("abort", onHandled);
    follows?.removeListener("cancelled", onParent);
  };
}
