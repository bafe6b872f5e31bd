import { randomUUID } from "node:crypto";

const safe = /^[A-Za-z0-9._~:+/=@-]{1,128}$/;

/** The client's request id, if it is one line of 1 to 128 plain characters; a new UUID otherwise. */
export function toRequestId(sent: string | readonly string[] | undefined): string {
  return typeof sent === "string" && safe.test(sent) ? sent : randomUUID();
}
