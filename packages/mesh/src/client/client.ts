import type { Metadata } from "../base/metadata.ts";
import type { ResponseOf, ServiceHandle } from "../contract/service-handle.ts";

/** What a caller can say about one call. */
export interface CallOptions {
  /** Aborting cancels the call, at the server too. The call fails with the reason if that is a MeshError, else with CANCELLED. */
  readonly signal?: AbortSignal;
  /** Deadline in ms from now. Default: the policy's timeout. Never more than the policy's maximum, nor than what the incoming call has left. */
  readonly timeoutMs?: number;
  /** Metadata to send: names in lower case; values of `-bin` names are base64. */
  readonly metadata?: Metadata;
}

/** The messages of a request stream: any iterable of them, asked for the next one when the server can take it. */
export type Requests<Partial> = AsyncIterable<Partial> | Iterable<Partial>;

/**
 * One method as its caller sees it. Each throws MeshError. A server stream is called when it is iterated; leaving the loop
 * early cancels the call.
 */
export type ClientMethod<Method, Partial> = Method extends { readonly requestStream: true; readonly responseStream: true }
  ? (requests: Requests<Partial>, options?: CallOptions) => AsyncIterable<ResponseOf<Method>>
  : Method extends { readonly requestStream: true }
    ? (requests: Requests<Partial>, options?: CallOptions) => Promise<ResponseOf<Method>>
    : Method extends { readonly responseStream: true }
      ? (request: Partial, options?: CallOptions) => AsyncIterable<ResponseOf<Method>>
      : (request: Partial, options?: CallOptions) => Promise<ResponseOf<Method>>;

type PartialOf<Handle extends ServiceHandle, Name extends keyof Handle["definition"]> = Name extends keyof Handle["requests"]
  ? Handle["requests"][Name] extends (partial: infer Partial) => unknown
    ? Partial
    : never
  : never;

/** A client of a service: one function a method. Requests may be partial; fields that are left out have their defaults. */
export type Client<Handle extends ServiceHandle> = {
  readonly [Name in keyof Handle["definition"]]: ClientMethod<Handle["definition"][Name], PartialOf<Handle, Name>>;
};
