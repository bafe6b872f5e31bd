import { createHmac, timingSafeEqual } from "node:crypto";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";
import type { Database } from "./database.ts";
import type { Position } from "./order-by.ts";
import { readSecret } from "./secret.ts";

const macBytes = 16;

/** Makes and reads the tokens of pages. */
export interface PageTokens {
  /** The token of the page after `position`. `query` is everything that the token is bound to: method, filters, order. */
  issue(query: string, position: Position): string;
  /**
   * The position in a token. A token that was changed, was made for another query, or by a service with another key is
   * INVALID_ARGUMENT (PAGE_TOKEN_INVALID).
   */
  read(query: string, token: string): Position;
}

/**
 * Tokens are signed (HMAC-SHA256) with a key that lies in the service's own database: made once, shared by all instances,
 * and as long-lived as the rows that the tokens point into. What a token holds is not secret, it is only nobody's business.
 */
export async function createPageTokens<Tables>(
  database: Database<Tables>,
  options: { readonly domain: string },
): Promise<PageTokens> {
  const key = await readSecret(database, "page_token", 32);
  const sign = (query: string, position: string): Buffer =>
    createHmac("sha256", key).update(`${query.length}\n${query}${position}`).digest().subarray(0, macBytes);
  return {
    issue(query, position) {
      const text = JSON.stringify(position);
      return Buffer.concat([sign(query, text), Buffer.from(text)]).toString("base64url");
    },
    read(query, token) {
      const bytes = Buffer.from(token, "base64url");
      const text = bytes.subarray(macBytes).toString();
      // Decoding skips what is no base64url: only the one spelling that was issued counts.
      const genuine =
        bytes.length > macBytes &&
        bytes.toString("base64url") === token &&
        timingSafeEqual(bytes.subarray(0, macBytes), sign(query, text));
      if (!genuine) {
        throw new MeshError(
          Code.INVALID_ARGUMENT,
          "page_token is none of this list: it was changed, or filters or order_by differ from the call that gave it",
          { reason: "PAGE_TOKEN_INVALID", domain: options.domain },
        );
      }
      return JSON.parse(text) as Position;
    },
  };
}
