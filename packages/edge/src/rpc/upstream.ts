import { grantedTimeoutMs } from "@protoloom/mesh";
import type { ByteCall, ByteStream, Clock, UnaryAnswer } from "@protoloom/mesh";
import type { Exchange } from "../http/exchange.ts";
import type { ForwardHeaders } from "../http/forwarded-headers.ts";
import { parseTimeoutMs } from "../http/timeout.ts";
import type { ExposedMethod } from "./exposed-method.ts";

/** Calls services on behalf of clients. */
export interface Upstream {
  /**
   * Makes one unary call within the timeout that the client asks for and the policy grants; a client that goes cancels it.
   * Rejects with MeshError.
   */
  unary(exchange: Exchange, method: ExposedMethod, message: Uint8Array): Promise<UnaryAnswer>;
  /** Starts a call with streams, in the same way. Failures come through the stream. */
  stream(exchange: Exchange, method: ExposedMethod): ByteStream;
  /** What a call of a client carries. Throws INVALID_ARGUMENT for a malformed timeout. */
  toCall(exchange: Exchange, method: ExposedMethod): ByteCall;
}

/** Creates the calls of one edge. */
export function createUpstream({ clock, forward }: { readonly clock: Clock; readonly forward: ForwardHeaders }): Upstream {
  const toCall: Upstream["toCall"] = (exchange, method) => ({
    path: method.path,
    metadata: forward(exchange.headers, exchange.requestId),
    deadline: clock.monotonicMs() + grantedTimeoutMs(method.policy, parseTimeoutMs(exchange.headers)),
    signal: exchange.signal,
  });
  return {
    toCall,
    stream: (exchange, method) => method.transport.stream(toCall(exchange, method)),
    unary: (exchange, method, message) => method.transport.unary(toCall(exchange, method), message),
  };
}
