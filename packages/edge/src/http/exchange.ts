import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

/** One HTTP request and its answer, whatever the version of HTTP. Answered once: with `respond`, or with `start` to `finish`. */
export interface Exchange {
  readonly version: "1.0" | "1.1" | "2.0";
  readonly method: string;
  /** Path and query as sent. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** `x-request-id` of the request if it is a safe one, or one made here. It is on every answer. */
  readonly requestId: string;
  /** `host:port` of the client. */
  readonly peer: string;
  /** The body as it arrives. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Status of the answer; 0 before it. */
  readonly status: number;
  /** Reads the whole body. Rejects with RESOURCE_EXHAUSTED above `maxBytes`, with CANCELLED when the client goes. */
  readBody(maxBytes: number): Promise<Uint8Array>;
  /** Aborts, with CANCELLED, when the client goes before the answer is complete. One connection of HTTP/1 has one signal. */
  readonly signal: AbortSignal;
  /** Answers at once. Takes `headers` over, and adds to them. */
  respond(status: number, headers: OutgoingHttpHeaders, body?: string | Uint8Array): void;
  /** Begins an answer whose body follows in pieces. Takes `headers` over. */
  start(status: number, headers: OutgoingHttpHeaders, options: { readonly trailers: boolean }): void;
  /** Sends a piece; resolves when more may be sent. Rejects when the client has gone. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends an answer that was started. */
  finish(trailers?: OutgoingHttpHeaders): void;
  /** Ends the connection (HTTP/1) or the stream (HTTP/2) without an answer, or in the middle of one. */
  abandon(): void;
}

/** Handles one request. It answers, whatever happens; it never rejects. */
export type HandleExchange = (exchange: Exchange) => void;
