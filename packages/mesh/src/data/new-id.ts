import { v7 } from "uuid";

/**
 * The id of a new resource: a UUID of version 7 in lower case (RFC 9562 section 5.7). Ids of one process rise, so that rows
 * that are made one after the other lie beside each other in an index.
 */
export function newId(): string {
  return v7();
}
