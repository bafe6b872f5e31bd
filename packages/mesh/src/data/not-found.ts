import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";

/** Most ids that a message names: the details name all of them, and both have to fit the trailers. */
const maxNamed = 20;

/** NOT_FOUND for resources that do not exist; ErrorInfo has all ids, with commas between them, as `ids` (AIP-231). */
export function resourcesNotFound(
  ids: readonly string[],
  { noun, reason, domain }: { readonly noun: string; readonly reason: string; readonly domain: string },
): MeshError {
  const [named, more] = ids.length > maxNamed ? [ids.slice(0, 3), `, and ${ids.length - 3} more`] : [ids, ""];
  return new MeshError(Code.NOT_FOUND, `no ${noun} has the id ${named.join(", ")}${more}`, {
    reason,
    domain,
    info: { ids: ids.join(",") },
  });
}
