import { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { CallContext } from "../base/call-context.ts";
import { Code } from "../base/code.ts";
import { callerGone } from "../base/deadline.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { CallHead } from "./call-head.ts";
import { fromGrpcEnding, isCustomName, toWireEnding } from "./error-mapper.ts";

/** One call that has come in, whatever its kind: bytes in, bytes out, one ending. The stages of the pipeline share it. */
export interface IncomingCall {
  readonly head: CallHead;
  /** How the bytes of a message become a request. Set by the stage that checks requests; undefined before it. */
  decode: ((bytes: Uint8Array) => unknown) | undefined;
  /** Set by the stage that opens the context; undefined before it. */
  context: CallContext | undefined;
  /** The next message; undefined after the last. Rejects with MeshError when the call has ended. One at a time. */
  receive(): Promise<Uint8Array | undefined>;
  /** Sends one message. The promise is there when the caller reads too slowly, and resolves when more may be sent. */
  send(message: Buffer): Promise<void> | undefined;
  setHeader(name: string, value: string): void;
  setTrailer(name: string, value: string): void;
  /** Ends the call: OK, or with an error. The first ending counts. */
  end(error?: MeshError): void;
  /** Called once when the caller goes, or when the call breaks below the pipeline. */
  onFailure(listener: (error: MeshError) => void): void;
}

/** How much may be written to a call before its sender waits. */
const maxUnflushedBytes = 65_536;

/**
 * Takes over a call of grpc-js at its lowest public level, the interceptor interface (gRFC L112): one message is read when
 * it is asked for, and no stream objects stand between the handler and HTTP/2.
 */
export function createIncomingCall(base: ServerInterceptingCallInterface, head: CallHead): IncomingCall {
  let failure: MeshError | undefined;
  let ended = false;
  let halfClosed = false;
  let headersSent = false;
  let unflushedBytes = 0;
  let reading: PromiseWithResolvers<Uint8Array | undefined> | undefined;
  let flushing: PromiseWithResolvers<void> | undefined;
  let headers: GrpcMetadata | undefined;
  let trailers: GrpcMetadata | undefined;
  let failed: ((error: MeshError) => void) | undefined;

  function release(error: MeshError): void {
    reading?.reject(error);
    flushing?.reject(error);
    reading = flushing = undefined;
  }
  function fail(error: MeshError): void {
    if (ended || failure !== undefined) return;
    failure = error;
    release(error);
    failed?.(error);
  }
  function receive(bytes: Uint8Array | undefined): void {
    const waiting = reading;
    reading = undefined;
    waiting?.resolve(bytes);
  }

  const sendStatus = base.sendStatus.bind(base);
  // grpc-js ends a call on its own when a message is too large or cannot be decompressed. That ending goes through the
  // pipeline like every other, and so has details and a log line.
  base.sendStatus = ({ code, details }) => fail(fromGrpcEnding(code, details));
  let started = false;
  base.start({
    onReceiveMetadata: () => void (started = true),
    onReceiveMessage: receive,
    onReceiveHalfClose() {
      halfClosed = true;
      receive(undefined);
    },
    // Also called after a call that went well: an error is only made when there is one.
    onCancel() {
      if (!ended) fail(callerGone());
    },
  });
  // A call that was reset before it got here has no listener, and would never be told.
  if (!started) fail(callerGone());

  return {
    head,
    decode: undefined,
    context: undefined,
    receive() {
      if (failure !== undefined) return Promise.reject(failure);
      if (ended) return Promise.reject(callEnded());
      if (halfClosed) return Promise.resolve(undefined);
      const { promise } = (reading = Promise.withResolvers<Uint8Array | undefined>());
      base.startRead();
      return promise;
    },
    send(message) {
      if (failure !== undefined) throw failure;
      if (ended) throw callEnded();
      if (!headersSent && headers !== undefined) base.sendMetadata(headers);
      headersSent = true;
      unflushedBytes += message.length;
      base.sendMessage(message, () => {
        unflushedBytes -= message.length;
        if (flushing === undefined || unflushedBytes > maxUnflushedBytes) return;
        flushing.resolve();
        flushing = undefined;
      });
      if (unflushedBytes <= maxUnflushedBytes) return undefined;
      return (flushing ??= Promise.withResolvers<void>()).promise;
    },
    setHeader(name, value) {
      if (headersSent) throw new Error(`the header ${name} comes too late: the first message has been sent`);
      add((headers ??= new GrpcMetadata()), name, value);
    },
    setTrailer: (name, value) => add((trailers ??= new GrpcMetadata()), name, value),
    end(error) {
      if (ended) return;
      ended = true;
      // Whoever still waits must not take the end of a failed call for the end of its requests.
      if (error === undefined) receive(undefined);
      else release(error);
      if (!headersSent && headers !== undefined) base.sendMetadata(headers);
      sendStatus(
        error === undefined ? { code: Code.OK, details: "", metadata: trailers ?? null } : toWireEnding(error, trailers),
      );
    },
    onFailure(listener) {
      failed = listener;
      if (failure !== undefined) listener(failure);
    },
  };
}

function add(metadata: GrpcMetadata, name: string, value: string): void {
  if (!isCustomName(name)) throw new Error(`${name} is no name for metadata: lower case, digits, "-", "_", ".", not "grpc-"`);
  metadata.add(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
}

function callEnded(): MeshError {
  return new MeshError(Code.CANCELLED, "the call has ended", { reason: "CALLER_GONE" });
}
