import { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { CallContext } from "../base/call-context.ts";
import { Code } from "../base/code.ts";
import { callerGone } from "../base/deadline.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { CallHead } from "./call-head.ts";
import { fromGrpcEnding, isCustomName, toWireEnding } from "./error-mapper.ts";

/** How much may be written to a call before its sender waits. */
const maxUnflushedBytes = 65_536;

/**
 * Where a call is. `open`: messages come and go. `failed`: the caller has gone, or grpc-js could not read on; the pipeline is
 * told, and nothing is read or sent any more. `ended`: its status is sent. Transitions: open -> failed -> ended, open -> ended.
 */
type State = { readonly is: "open" } | { readonly is: "failed"; readonly error: MeshError } | { readonly is: "ended" };

const open: State = { is: "open" };
const ended: State = { is: "ended" };

/**
 * One call that has come in, whatever its kind: bytes in, bytes out, one ending. The stages of the pipeline share it.
 *
 * It takes over a call of grpc-js at its lowest public level, the interceptor interface (gRFC L112): one message is read
 * when it is asked for, and no stream objects stand between the handler and HTTP/2. A class, because there is one a call and
 * a closure for each method is measurable.
 */
export class IncomingCall {
  readonly head: CallHead;
  /** How the bytes of a message become a request. Set by the stage that checks requests; undefined before it. */
  decode: ((bytes: Uint8Array) => unknown) | undefined;
  /** Set by the stage that opens the context; undefined before it. */
  context: CallContext | undefined;
  readonly #base: ServerInterceptingCallInterface;
  readonly #sendStatus: ServerInterceptingCallInterface["sendStatus"];
  #state: State = open;
  #started = false;
  #halfClosed = false;
  #headersSent = false;
  #unflushedBytes = 0;
  #reading: PromiseWithResolvers<Uint8Array | undefined> | undefined;
  #flushing: PromiseWithResolvers<void> | undefined;
  #headers: GrpcMetadata | undefined;
  #trailers: GrpcMetadata | undefined;
  #onFailure: ((error: MeshError) => void) | undefined;

  constructor(base: ServerInterceptingCallInterface, head: CallHead) {
    this.head = head;
    this.#base = base;
    this.#sendStatus = base.sendStatus;
    // grpc-js ends a call on its own when a message is too large or cannot be decompressed. That ending goes through the
    // pipeline like every other, and so has details and a log line.
    base.sendStatus = ({ code, details }) => this.#fail(fromGrpcEnding(code, details));
    base.start({
      onReceiveMetadata: () => {
        this.#started = true;
      },
      onReceiveMessage: (bytes: Uint8Array) => this.#received(bytes),
      onReceiveHalfClose: () => {
        this.#halfClosed = true;
        this.#received(undefined);
      },
      // Also called after a call that went well: an error is only made when there is one.
      onCancel: () => {
        if (this.#state.is === "open") this.#fail(callerGone());
      },
    });
    // A call that was reset before it got here has no listener, and would never be told.
    if (!this.#started) this.#fail(callerGone());
  }

  /** The next message; undefined after the last. Rejects with MeshError when the call has ended. One at a time. */
  receive(): Promise<Uint8Array | undefined> {
    if (this.#state.is !== "open") return Promise.reject(this.#whyNot(this.#state));
    if (this.#halfClosed) return Promise.resolve(undefined);
    const { promise } = (this.#reading = Promise.withResolvers());
    this.#base.startRead();
    return promise;
  }

  /**
   * Sends one message. The promise is there when the caller reads too slowly, and resolves when more may be sent. Throws
   * MeshError when the call has ended.
   */
  send(message: Buffer): Promise<void> | undefined {
    if (this.#state.is !== "open") throw this.#whyNot(this.#state);
    this.#sendHeaders();
    this.#headersSent = true;
    this.#unflushedBytes += message.length;
    this.#base.sendMessage(message, () => this.#flushed(message.length));
    if (this.#unflushedBytes <= maxUnflushedBytes) return undefined;
    return (this.#flushing ??= Promise.withResolvers()).promise;
  }

  /** Adds to the answer's headers. Throws after the first message. */
  setHeader(name: string, value: string): void {
    if (this.#headersSent) throw new Error(`the header ${name} comes too late: the first message has been sent`);
    add((this.#headers ??= new GrpcMetadata()), name, value);
  }

  /** Adds to the answer's trailers. */
  setTrailer(name: string, value: string): void {
    add((this.#trailers ??= new GrpcMetadata()), name, value);
  }

  /** Ends the call: OK, or with an error. The first ending counts. */
  end(error?: MeshError): void {
    if (this.#state.is === "ended") return;
    this.#state = ended;
    // Whoever still waits must not take the end of a failed call for the end of its requests.
    if (error === undefined) this.#received(undefined);
    else this.#release(error);
    this.#sendHeaders();
    const trailers = this.#trailers;
    const status =
      error === undefined ? { code: Code.OK, details: "", metadata: trailers ?? null } : toWireEnding(error, trailers);
    this.#sendStatus.call(this.#base, status);
  }

  /** Calls `listener` once, when the caller goes or the call breaks below the pipeline. */
  onFailure(listener: (error: MeshError) => void): void {
    this.#onFailure = listener;
    if (this.#state.is === "failed") listener(this.#state.error);
  }

  #fail(error: MeshError): void {
    if (this.#state.is !== "open") return;
    this.#state = { is: "failed", error };
    this.#release(error);
    this.#onFailure?.(error);
  }

  #whyNot(state: Exclude<State, { readonly is: "open" }>): MeshError {
    return state.is === "failed" ? state.error : new MeshError(Code.CANCELLED, "the call has ended", { reason: "CALLER_GONE" });
  }

  #received(bytes: Uint8Array | undefined): void {
    const waiting = this.#reading;
    this.#reading = undefined;
    waiting?.resolve(bytes);
  }

  #flushed(bytes: number): void {
    this.#unflushedBytes -= bytes;
    if (this.#flushing === undefined || this.#unflushedBytes > maxUnflushedBytes) return;
    this.#flushing.resolve();
    this.#flushing = undefined;
  }

  #release(error: MeshError): void {
    this.#reading?.reject(error);
    this.#flushing?.reject(error);
    this.#reading = undefined;
    this.#flushing = undefined;
  }

  #sendHeaders(): void {
    if (!this.#headersSent && this.#headers !== undefined) this.#base.sendMetadata(this.#headers);
  }
}

function add(metadata: GrpcMetadata, name: string, value: string): void {
  if (!isCustomName(name)) throw new Error(`${name} is no name for metadata: lower case, digits, "-", "_", ".", not "grpc-"`);
  metadata.add(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
}
