import { createHash } from "node:crypto";

const versionBytes = 6;
const checkBytes = 6;

/** The etag of a resource at a version (AIP-154): opaque, 16 characters, another one for every resource and every version. */
export function toEtag(id: string, version: number): string {
  const bytes = Buffer.alloc(versionBytes + checkBytes);
  bytes.writeUIntBE(version, 0, versionBytes);
  createHash("sha256").update(`${id}\n${version}`).digest().copy(bytes, versionBytes, 0, checkBytes);
  return bytes.toString("base64url");
}

/**
 * The version that an etag of this resource stands for, so that the update itself can check it (`WHERE version = ?`), or
 * undefined for an etag that the resource never had.
 */
export function fromEtag(id: string, etag: string): number | undefined {
  const bytes = Buffer.from(etag, "base64url");
  if (bytes.length !== versionBytes + checkBytes) return undefined;
  const version = bytes.readUIntBE(0, versionBytes);
  return toEtag(id, version) === etag ? version : undefined;
}
