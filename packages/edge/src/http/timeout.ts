import type { IncomingHttpHeaders } from "node:http";
import { malformedRequest } from "../errors/request-error.ts";

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };

/**
 * The timeout that a client asks for, in ms: `connect-timeout-ms` (at most 10 digits), `grpc-timeout` (at most 8 digits and a
 * unit) or `x-server-timeout` (decimal seconds), the smallest where there are several; undefined without one. Throws
 * INVALID_ARGUMENT for one that is malformed.
 */
export function parseTimeoutMs(headers: IncomingHttpHeaders): number | undefined {
  let timeoutMs: number | undefined;
  const take = (name: string, parse: (text: string) => number | undefined): void => {
    const text = headers[name];
    if (text === undefined) return;
    const value = typeof text === "string" ? parse(text) : undefined;
    if (value === undefined) throw malformedRequest(`${name}: ${JSON.stringify(text)} is no timeout`);
    timeoutMs = Math.min(timeoutMs ?? value, value);
  };
  take("connect-timeout-ms", (text) => (/^\d{1,10}$/.test(text) ? Number(text) : undefined));
  take("grpc-timeout", parseGrpcTimeoutMs);
  take("x-server-timeout", (text) => (/^\d{1,9}(?:\.\d{1,9})?$/.test(text) ? Number(text) * 1_000 : undefined));
  return timeoutMs;
}

function parseGrpcTimeoutMs(text: string): number | undefined {
  const unit = unitMs[text.at(-1) ?? ""];
  return unit !== undefined && /^\d{1,8}.$/.test(text) ? Number(text.slice(0, -1)) * unit : undefined;
}
