import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema } from "@protoloom/protos/google/rpc/error_details_pb";
import { StatusSchema } from "@protoloom/protos/google/rpc/status_pb";
import { Code, toCode } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { ErrorDetail } from "../base/mesh-error.ts";
import type { Metadata } from "../base/metadata.ts";

const typeUrlPrefix = "type.googleapis.com/";

/** The most that travels of an error's message, in UTF-16 units: trailers have to fit the header limits of every peer. */
export const maxDetailLength = 2_048;

/** One field that breaks a rule of the contract. */
export interface FieldViolation {
  /** Path of the field in proto spelling, such as `user.email`. */
  readonly field: string;
  readonly description: string;
  /** Id of the rule, such as `string.email`. */
  readonly reason?: string;
}

/** The error of a request that breaks rules of its contract: INVALID_ARGUMENT with google.rpc.BadRequest. */
export function contractViolated(violations: readonly FieldViolation[]): MeshError {
  const fieldViolations = violations.map(({ field, description, reason }) => ({ field, description, reason: reason ?? "" }));
  return new MeshError(
    Code.INVALID_ARGUMENT,
    violations.map(({ field, description }) => (field === "" ? description : `${field}: ${description}`)).join("; "),
    {
      reason: "CONTRACT_VIOLATED",
      details: [
        { typeName: BadRequestSchema.typeName, value: toBinary(BadRequestSchema, create(BadRequestSchema, { fieldViolations })) },
      ],
    },
  );
}

/** All details of an error, its ErrorInfo first. */
export function allDetails(error: MeshError): readonly ErrorDetail[] {
  if (error.reason === undefined || error.details.some(({ typeName }) => typeName === ErrorInfoSchema.typeName))
    return error.details;
  const info = create(ErrorInfoSchema, { reason: error.reason, domain: error.domain, metadata: { ...error.info } });
  return [{ typeName: ErrorInfoSchema.typeName, value: toBinary(ErrorInfoSchema, info) }, ...error.details];
}

/** The message of an error as it may travel: well-formed Unicode (half a surrogate pair crashes grpc-js), and bounded. */
export function wireDetail(error: MeshError): string {
  const detail = error.detail.length > maxDetailLength ? `${error.detail.slice(0, maxDetailLength)}…` : error.detail;
  return detail.toWellFormed();
}

/** google.rpc.Status of an error, in binary: the value of `grpc-status-details-bin`, or undefined if there is no detail. */
export function toStatusBytes(error: MeshError): Uint8Array | undefined {
  const details = allDetails(error);
  if (details.length === 0) return undefined;
  const any = ({ typeName, value }: ErrorDetail): Any => create(AnySchema, { typeUrl: typeUrlPrefix + typeName, value });
  return toBinary(
    StatusSchema,
    create(StatusSchema, { code: error.code, message: wireDetail(error), details: details.map(any) }),
  );
}

/** What a call ended with, as it came over the wire. */
export interface WireStatus {
  readonly code: number;
  readonly message: string;
  /** Value of `grpc-status-details-bin`. Bytes that are no Status are left out. */
  readonly statusBytes?: Uint8Array;
  readonly trailers?: Metadata;
}

/** Builds the error of a call from what came over the wire. */
export function fromWireStatus({ code, message, statusBytes, trailers }: WireStatus): MeshError {
  const details = statusBytes === undefined ? [] : readDetails(statusBytes);
  const found = details.find(({ typeName }) => typeName === ErrorInfoSchema.typeName);
  const info = found === undefined ? undefined : readErrorInfo(found.value);
  return new MeshError(toCode(code), message, {
    details,
    ...(info === undefined ? {} : { reason: info.reason, domain: info.domain, info: info.metadata }),
    ...(trailers === undefined ? {} : { metadata: trailers }),
  });
}

function readDetails(bytes: Uint8Array): readonly ErrorDetail[] {
  try {
    const { details } = fromBinary(StatusSchema, bytes);
    return details.map(({ typeUrl, value }) => ({ typeName: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value }));
  } catch {
    // The peer's details are a courtesy: code and message hold without them.
    return [];
  }
}

function readErrorInfo(bytes: Uint8Array): { reason: string; domain: string; metadata: Record<string, string> } | undefined {
  try {
    return fromBinary(ErrorInfoSchema, bytes);
  } catch {
    return undefined;
  }
}
