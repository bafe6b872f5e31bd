import { ConnectError } from "@connectrpc/connect";
import type { Code as ConnectCode } from "@connectrpc/connect";
import { Code, MeshError, allDetails, wireDetail } from "@protoloom/mesh";
import { toResponseHeaders } from "../http/forwarded-headers.ts";

/** Builds the error that Connect's handlers write, in each protocol's own form; its details travel as they came. */
export function toConnectError(thrown: unknown): ConnectError {
  if (thrown instanceof ConnectError) return thrown;
  const error =
    thrown instanceof MeshError
      ? thrown
      : new MeshError(Code.INTERNAL, "the edge failed", { reason: "INTERNAL_FAULT", cause: thrown });
  const metadata = new Headers();
  for (const [name, value] of Object.entries(toResponseHeaders(error.metadata, ""))) {
    for (const each of [value ?? []].flat()) metadata.append(name, String(each));
  }
  const answer = new ConnectError(wireDetail(error), error.code as number as ConnectCode, metadata, undefined, error);
  answer.details = allDetails(error).map(({ typeName, value }) => ({ type: typeName, value: Uint8Array.from(value) }));
  return answer;
}
