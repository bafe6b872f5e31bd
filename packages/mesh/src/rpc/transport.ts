import type { Deadline } from "../base/deadline.ts";
import type { Endpoint } from "../base/endpoint.ts";
import type { Metadata } from "../base/metadata.ts";

/** A call of the byte transport: messages are bytes, what they mean is the caller's business. */
export interface ByteCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Custom metadata. What HTTP/2 and gRPC need (`:path`, `te`, `content-type`, `grpc-timeout`) is added. */
  readonly metadata: Metadata;
  readonly deadline: Deadline;
  /** Aborting cancels the call at the server too. */
  readonly signal?: AbortSignal;
}

/** The answer of a unary call. */
export interface UnaryAnswer {
  readonly message: Uint8Array;
  readonly headers: Metadata;
  readonly trailers: Metadata;
  readonly endpoint: Endpoint;
}

/**
 * A stream of messages in both directions. Sending waits while the peer's window is full, and nothing is read ahead of the
 * consumer beyond one window: a slow reader bounds the memory of both sides.
 */
export interface ByteStream {
  /** Sends one message; resolves when more may be sent. Rejects with MeshError when the call has ended. */
  send(message: Uint8Array): Promise<void>;
  /** No more messages will be sent. */
  end(): void;
  /** The answer's headers. Rejects with MeshError if the call fails before them. */
  readonly headers: Promise<Metadata>;
  /** The answer's messages, once. Throws MeshError if the call fails; returning early cancels the call. */
  readonly messages: AsyncIterable<Uint8Array>;
  /** The answer's trailers, once the messages have been read. Never rejects: a failed call has its trailers too. */
  readonly trailers: Promise<Metadata>;
  /** Cancels the call at the server. */
  cancel(reason?: unknown): void;
}

/** Calls of one service over its live endpoints: picked per call, picked again when a call was never sent. */
export interface ServiceTransport {
  /** One request, one answer. Throws MeshError. */
  unary(call: ByteCall, message: Uint8Array): Promise<UnaryAnswer>;
  /** Starts a stream. Failures come through the stream. */
  stream(call: ByteCall): ByteStream;
}

/** The byte transport: one per process, shared by clients, channels and the edge. */
export interface Transport extends AsyncDisposable {
  /** Calls of a service by its registry name. Its watch starts with the first call and lasts as long as the transport. */
  service(name: string): ServiceTransport;
  /** Calls of one endpoint, without the registry: for reflection and health checks. */
  endpoint(endpoint: Endpoint): ServiceTransport;
}
