/** A user as the service knows it. Times are ms since 1970. */
export interface User {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly createMs: number;
  readonly updateMs: number;
  /** 1 for a user that never changed; rises by one with each change. */
  readonly version: number;
}

/** What a caller sets. */
export type UserFields = Pick<User, "name" | "email">;

/** Most code points of a name. Normalising can make a name longer than the contract let in. */
export const maxNameLength = 200;

/** A name as it is kept: Unicode NFC, nothing trimmed. */
export function normalName(name: string): string {
  return name.normalize("NFC");
}

/**
 * What two equal e-mail addresses have in common. The case of the local part is compared too, although RFC 5321 section
 * 2.4 would let a host tell it apart: no mailbox provider does, and people type it either way.
 */
export function emailKey(email: string): string {
  return email.normalize("NFC").toLowerCase();
}
