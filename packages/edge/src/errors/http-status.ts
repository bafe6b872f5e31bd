import type { CodeName } from "@protoloom/mesh";

interface CodeForms {
  /** HTTP status (google/rpc/code.proto; Connect protocol, "Error Codes"). */
  readonly http: number;
  /** Name in Connect's errors. */
  readonly connect: string;
}

/** Each gRPC code over HTTP. */
export const codeForms: Readonly<Record<CodeName, CodeForms>> = {
  OK: { http: 200, connect: "ok" },
  CANCELLED: { http: 499, connect: "canceled" },
  UNKNOWN: { http: 500, connect: "unknown" },
  INVALID_ARGUMENT: { http: 400, connect: "invalid_argument" },
  DEADLINE_EXCEEDED: { http: 504, connect: "deadline_exceeded" },
  NOT_FOUND: { http: 404, connect: "not_found" },
  ALREADY_EXISTS: { http: 409, connect: "already_exists" },
  PERMISSION_DENIED: { http: 403, connect: "permission_denied" },
  RESOURCE_EXHAUSTED: { http: 429, connect: "resource_exhausted" },
  FAILED_PRECONDITION: { http: 400, connect: "failed_precondition" },
  ABORTED: { http: 409, connect: "aborted" },
  OUT_OF_RANGE: { http: 400, connect: "out_of_range" },
  UNIMPLEMENTED: { http: 501, connect: "unimplemented" },
  INTERNAL: { http: 500, connect: "internal" },
  UNAVAILABLE: { http: 503, connect: "unavailable" },
  DATA_LOSS: { http: 500, connect: "data_loss" },
  UNAUTHENTICATED: { http: 401, connect: "unauthenticated" },
};
