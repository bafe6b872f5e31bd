import { malformedRequest, tooLarge } from "../errors/request-error.ts";
import { toText } from "../binding/request-binder.ts";
import { JsonCursor, JsonMark } from "../json/json-cursor.ts";

/**
 * Reads the messages of a body that holds one a line, as they arrive. Lines of white space are none. Throws RESOURCE_EXHAUSTED
 * for a line of more than `maxBytes`.
 */
export async function* readLines(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let rest = Buffer.alloc(0);
  for await (const chunk of body) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let end = rest.indexOf(10, start); end >= 0; end = rest.indexOf(10, start)) {
      const line = rest.subarray(start, end);
      start = end + 1;
      if (!isBlank(line)) yield line;
    }
    rest = rest.subarray(start);
    if (rest.length > maxBytes) throw tooLarge(`a line is longer than ${maxBytes} bytes`);
  }
  if (!isBlank(rest)) yield rest;
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 32 || byte === 13 || byte === 9);
}

/** Splits a body that is a JSON array into the texts of its elements. Throws INVALID_ARGUMENT if it is none. */
export function splitArray(body: Uint8Array): Uint8Array[] {
  if (body.length === 0) return [];
  const cursor = new JsonCursor(toText(body), { strict: false });
  if (cursor.peek() !== JsonMark.openArray)
    throw malformedRequest("the body of a stream is an array, or has one message a line (application/x-ndjson)");
  const elements: Uint8Array[] = [];
  cursor.open(JsonMark.openArray);
  for (let first = true; cursor.hasNext(first, JsonMark.closeArray); first = false) elements.push(Buffer.from(cursor.takeText()));
  cursor.end();
  return elements;
}
