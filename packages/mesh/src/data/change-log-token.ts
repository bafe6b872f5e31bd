import { createHash, timingSafeEqual } from "node:crypto";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { LogPosition } from "./change.ts";

/** Bytes of the id of a log. */
export const logIdBytes = 8;

const version = 1;
const posBytes = 6;
const markBytes = 4;
const checkBytes = 4;

/** What a token says: a position, and a mark of the change that stands there. */
export interface TokenContent {
  readonly pos: number;
  readonly mark: Buffer;
}

/** Makes and reads the tokens of one log. `domain` is the proto package whose `Reason` names what is wrong with one. */
export interface ResumeTokens {
  issue(position: LogPosition): string;
  /** Throws RESUME_TOKEN_INVALID for what is no token, RESUME_TOKEN_EXPIRED for one of another log. */
  read(token: string): TokenContent;
}

/**
 * A token holds the id of the log, the position, and a mark of the change there: a database that was put back to an older
 * state, and has gone another way since, is found out. The checksum tells a token of another database, which calls for a
 * new snapshot, from what never was a token, which is a fault of the caller. Nothing in a token is secret.
 */
export function createResumeTokens(logId: Buffer, { domain }: { readonly domain: string }): ResumeTokens {
  return {
    issue({ pos, eventId }) {
      const content = Buffer.alloc(1 + logIdBytes + posBytes + markBytes);
      content.writeUInt8(version, 0);
      logId.copy(content, 1);
      content.writeUIntBE(pos, 1 + logIdBytes, posBytes);
      markOf(eventId).copy(content, 1 + logIdBytes + posBytes);
      return Buffer.concat([content, checksum(content)]).toString("base64url");
    },
    read(token) {
      const bytes = Buffer.from(token, "base64url");
      const content = bytes.subarray(0, -checkBytes);
      const isToken =
        bytes.length === 1 + logIdBytes + posBytes + markBytes + checkBytes &&
        bytes.toString("base64url") === token &&
        content[0] === version &&
        timingSafeEqual(bytes.subarray(-checkBytes), checksum(content));
      if (!isToken) {
        throw new MeshError(Code.INVALID_ARGUMENT, "resume_token is none: take it as it came, or leave it empty", {
          reason: "RESUME_TOKEN_INVALID",
          domain,
        });
      }
      if (!logId.equals(content.subarray(1, 1 + logIdBytes))) throw expired("resume_token is of another database", domain);
      return { pos: content.readUIntBE(1 + logIdBytes, posBytes), mark: content.subarray(1 + logIdBytes + posBytes) };
    },
  };
}

/** A few bytes that tell one change from another at the same position. */
export function markOf(eventId: string): Buffer {
  return createHash("sha256").update(eventId).digest().subarray(0, markBytes);
}

/** The error of a reader who cannot go on from where it was. */
export function expired(why: string, domain: string): MeshError {
  return new MeshError(Code.OUT_OF_RANGE, `${why}: begin with a snapshot`, { reason: "RESUME_TOKEN_EXPIRED", domain });
}

function checksum(content: Buffer): Buffer {
  return createHash("sha256").update("resume").update(content).digest().subarray(0, checkBytes);
}
