import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";

/** What the transport of the `consul` package throws: its own errors carry a mark, those of Node a code. */
interface TransportError {
  readonly message: string;
  readonly code?: string;
  readonly isResponse?: boolean;
  readonly isTimeout?: boolean;
  readonly response?: {
    readonly statusCode: number;
    readonly headers: Readonly<Record<string, unknown>>;
    readonly body?: Uint8Array;
  };
}

/** The longest part of an answer that an error quotes, in bytes. */
const maxQuotedBytes = 200;

/** The code of each status with which Consul refuses; every other one is UNAVAILABLE. */
const codes: ReadonlyMap<number, Code> = new Map([
  [400, Code.INVALID_ARGUMENT],
  [401, Code.UNAUTHENTICATED],
  [403, Code.PERMISSION_DENIED],
  [404, Code.NOT_FOUND],
  [405, Code.UNIMPLEMENTED],
  [429, Code.RESOURCE_EXHAUSTED],
]);

/**
 * The one reading of what can go wrong with the registry. `info.httpStatus` holds the status of an answer,
 * `info.retryAfterMs` what its Retry-After asks for; without an answer the code is UNAVAILABLE, or DEADLINE_EXCEEDED when
 * none came in time. `request` names what was asked, such as `GET /agent/self`.
 */
export function fromConsul(error: unknown, request: string): MeshError {
  if (error instanceof MeshError) return error;
  const { message, code, isResponse, isTimeout, response } = error as TransportError;
  if (isResponse !== true || response === undefined) {
    const reached = isTimeout === true ? Code.DEADLINE_EXCEEDED : Code.UNAVAILABLE;
    return new MeshError(reached, `registry: ${request}: ${code ?? message}`, { cause: error });
  }
  const status = response.statusCode;
  const retryAfterMs = parseRetryAfter(response.headers["retry-after"]);
  const said = Buffer.from(response.body ?? "")
    .toString("utf8", 0, maxQuotedBytes)
    .trim();
  return new MeshError(codes.get(status) ?? Code.UNAVAILABLE, `registry: ${request}: ${status} ${said}`.trimEnd(), {
    cause: error,
    info: { httpStatus: `${status}`, ...(retryAfterMs === undefined ? {} : { retryAfterMs: `${retryAfterMs}` }) },
  });
}

/** The HTTP status that an error of the registry came with, or undefined if there was no answer. */
export function httpStatus(error: unknown): number | undefined {
  const status = error instanceof MeshError ? error.info["httpStatus"] : undefined;
  return status === undefined ? undefined : Number(status);
}

/** Retry-After in seconds (RFC 9110, section 10.2.3). The form with a date is not used by Consul, and is left out. */
function parseRetryAfter(value: unknown): number | undefined {
  return typeof value === "string" && /^\d{1,6}$/.test(value) ? Number(value) * 1_000 : undefined;
}
