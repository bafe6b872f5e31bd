import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";

/** What a mask may name. Field names are spelled as in the proto. */
export interface UpdateMaskOptions<Field extends string> {
  readonly writable: readonly Field[];
  /** Fields of the resource that the server alone sets. Named in a mask they are ignored, so that what was read can be sent back (AIP-203). */
  readonly outputOnly: readonly string[];
  /** Whether a field of the request is not empty. */
  readonly isSet: (field: Field) => boolean;
  /** Proto package whose `Reason` has UPDATE_MASK_INVALID. */
  readonly domain: string;
}

/**
 * The fields that an update changes (AIP-134): those that the mask names; all writable ones for `*`; without a mask, those
 * that are not empty. A path that is no field is INVALID_ARGUMENT (UPDATE_MASK_INVALID) and named.
 */
export function readUpdateMask<Field extends string>(
  paths: readonly string[] | undefined,
  { writable, outputOnly, isSet, domain }: UpdateMaskOptions<Field>,
): readonly Field[] {
  if (paths === undefined || paths.length === 0) return writable.filter(isSet);
  const unknown = paths.filter((path) => path !== "*" && !outputOnly.includes(path) && !writable.some((field) => field === path));
  if (unknown.length > 0) {
    throw new MeshError(
      Code.INVALID_ARGUMENT,
      `update_mask names ${unknown.map((path) => JSON.stringify(path)).join(", ")}, which is no field to change; it may name ${writable.join(", ")} or *`,
      { reason: "UPDATE_MASK_INVALID", domain, info: { paths: unknown.join(",") } },
    );
  }
  return paths.includes("*") ? writable : writable.filter((field) => paths.includes(field));
}
