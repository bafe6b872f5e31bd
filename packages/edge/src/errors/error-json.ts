import { create, fromBinary, toJson } from "@bufbuild/protobuf";
import type { JsonObject, Registry } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, MeshError, allDetails, codeName, wireDetail } from "@protoloom/mesh";
import type { ErrorDetail } from "@protoloom/mesh";
import { codeForms } from "./http-status.ts";
import { HttpFault } from "./request-error.ts";

/** An error as it is answered over HTTP. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly error: MeshError;
}

/** Sorts out what was thrown: a MeshError as it is; anything else is INTERNAL, and its text stays inside. */
export function toErrorAnswer(thrown: unknown): ErrorAnswer {
  if (thrown instanceof HttpFault) return thrown;
  const error =
    thrown instanceof MeshError
      ? thrown
      : new MeshError(Code.INTERNAL, "the edge failed", { reason: "INTERNAL_FAULT", cause: thrown });
  return { status: codeForms[codeName(error.code)].http, headers: {}, error };
}

/** google.rpc.Status as JSON: REST's form of an error. A detail of unknown type is its bytes in base64. */
export function toStatusJson(error: MeshError, registry: Registry): string {
  const details = allDetails(error).map((detail) => detailJson(detail, registry));
  return JSON.stringify({ code: error.code, message: wireDetail(error), ...(details.length === 0 ? {} : { details }) });
}

function detailJson({ typeName, value }: ErrorDetail, registry: Registry): JsonObject {
  const typeUrl = `type.googleapis.com/${typeName}`;
  try {
    return toJson(AnySchema, create(AnySchema, { typeUrl, value: Uint8Array.from(value) }), { registry }) as JsonObject;
  } catch {
    // The type is unknown here, or the bytes are not of it: they are passed on as they are.
    return { "@type": typeUrl, value: Buffer.from(value).toString("base64") };
  }
}

/** Connect's form of an error (Connect protocol, "Error End-Stream" and "Unary-Response"). */
export function toConnectErrorJson(error: MeshError, registry: Registry): string {
  const details = allDetails(error).map(({ typeName, value }) => {
    const debug = debugJson(typeName, value, registry);
    return {
      type: typeName,
      value: Buffer.from(value).toString("base64").replace(/=+$/, ""),
      ...(debug === undefined ? {} : { debug }),
    };
  });
  const code = codeForms[codeName(error.code)].connect;
  return JSON.stringify({ code, message: wireDetail(error), ...(details.length === 0 ? {} : { details }) });
}

function debugJson(typeName: string, value: Uint8Array, registry: Registry): unknown {
  const desc = registry.getMessage(typeName);
  if (desc === undefined) return undefined;
  try {
    return toJson(desc, fromBinary(desc, value), { registry });
  } catch {
    // `debug` is for people: the bytes beside it are what counts.
    return undefined;
  }
}
