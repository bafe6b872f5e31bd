import { v7 } from "uuid";

/**
 * The id of a new resource: a UUID of version 7 in lower case (RFC 9562 section 5.7). Ids of one process rise, so that rows
 * that are made one after the other lie beside each other in an index.
 */
export function newId(): string {
  return v7();
}

/** Whether text can be the id of a resource. What cannot is not asked for: no resource has it. */
export function isId(text: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(text);
}
