import type { IncomingMessage } from "node:http";
import { badRequest, Problem } from "../problem.ts";

/** Reads a body as UTF-8. Throws Problem 413 beyond `maxBytes`, and 400 when the client goes in the middle. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const tooLarge = new Problem(413, `Request body is too large: the limit is ${maxBytes} bytes`, { Connection: "close" });
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge;
  const chunks: Buffer[] = [];
  let bytes = 0;
  const read = new Promise<void>((resolve, reject) => {
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      else reject(tooLarge);
    });
    request.on("end", resolve);
    request.on("error", reject);
    request.on("close", () => reject(badRequest("the body has no end")));
  });
  await read;
  return Buffer.concat(chunks).toString("utf8");
}
