import { codeName } from "./code.ts";
import type { Code } from "./code.ts";
import type { Metadata } from "./metadata.ts";

/** A `google.protobuf.Any` as it travels in google.rpc.Status: the full name of the message and its bytes. */
export interface ErrorDetail {
  readonly typeName: string;
  readonly value: Uint8Array;
}

/** What a MeshError is made of beside its code and message. */
export interface MeshErrorOptions {
  /** Value of the `Reason` enum of `domain`, for google.rpc.ErrorInfo (AIP-193). Default: none, and then no ErrorInfo. */
  readonly reason?: string;
  /** Proto package whose `Reason` enum holds the reason. Default: `protoloom.v1`. */
  readonly domain?: string;
  /** Facts about this very error, for ErrorInfo. No secrets. */
  readonly info?: Readonly<Record<string, string>>;
  /** Further details, beside ErrorInfo; those of an error that came over the wire are here, its ErrorInfo among them. */
  readonly details?: readonly ErrorDetail[];
  /** Trailers that came, or go, with the error. */
  readonly metadata?: Metadata;
  readonly cause?: unknown;
}

/**
 * The one error of the mesh: a gRPC status with a stable reason. Thrown by a handler it becomes the status of the call;
 * a client throws it for every failed call.
 */
export class MeshError extends Error {
  readonly code: Code;
  readonly reason: string | undefined;
  readonly domain: string;
  readonly info: Readonly<Record<string, string>>;
  readonly details: readonly ErrorDetail[];
  readonly metadata: Metadata;
  /** The message without the code in front of it: what travels as grpc-message. */
  readonly detail: string;

  constructor(code: Code, detail: string, options: MeshErrorOptions = {}) {
    super(`${codeName(code)}: ${detail}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MeshError";
    this.code = code;
    this.detail = detail;
    this.reason = options.reason;
    this.domain = options.domain ?? "protoloom.v1";
    this.info = options.info ?? {};
    this.details = options.details ?? [];
    this.metadata = options.metadata ?? {};
  }
}
