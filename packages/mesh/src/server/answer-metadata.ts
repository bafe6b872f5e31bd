import { isReserved } from "../rpc/headers.ts";

/** True for a name that a handler may set, and that may be passed on: gRPC's own names and HTTP's are taken. */
function isCustomName(name: string): boolean {
  return /^[0-9a-z_.-]+$/.test(name) && !isReserved(name) && name !== "date" && name !== "trailer";
}

/**
 * Adds one name and value to headers that are names and values in turn. The value of a name that ends in `-bin` is base64.
 * False, and nothing is added, for what may not travel.
 */
export function pushMetadata(headers: string[], name: string, value: string): boolean {
  if (!isCustomName(name)) return false;
  if (name.endsWith("-bin")) headers.push(name, Buffer.from(value, "base64").toString("base64"));
  else if (/^[ -~]*$/.test(value)) headers.push(name, value);
  else return false;
  return true;
}

/** As `pushMetadata`, for what a handler sets: throws an error that says what is wrong. */
export function pushOwnMetadata(headers: string[], name: string, value: string): void {
  if (!isCustomName(name))
    throw new Error(`${name} is no name for metadata: lower case, digits, "-", "_", ".", and none of gRPC or HTTP`);
  if (!pushMetadata(headers, name, value)) throw new Error(`the value of ${name} has characters that no header may have`);
}
