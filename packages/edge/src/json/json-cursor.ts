import { malformedRequest } from "../errors/request-error.ts";

/** Deepest nesting of objects and arrays that is read, the outermost one included (that of protobuf's own parsers). */
export const maxJsonDepth = 100;

/** A parsed JSON value. Keys are own properties, `__proto__` included. */
export type JsonTree = null | boolean | number | string | JsonTree[] | { [key: string]: JsonTree };

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** First characters of JSON values and the marks between them, as UTF-16 units. */
export const JsonMark = {
  quote: 34,
  comma: 44,
  colon: 58,
  openArray: 91,
  backslash: 92,
  closeArray: 93,
  openObject: 123,
  closeObject: 125,
} as const;

/**
 * Reads JSON (RFC 8259) from left to right, strictly, in one pass. Beyond JSON.parse it bounds the nesting, refuses half
 * surrogate pairs and gives numbers as their text, so that no digit is lost; readers refuse repeated keys. Every fault throws
 * INVALID_ARGUMENT with its offset in UTF-16 units.
 */
export class JsonCursor {
  readonly #text: string;
  /** True: unknown fields and unknown enum names are faults. */
  readonly strict: boolean;
  #at = 0;
  #depth = 0;

  constructor(text: string, options: { readonly strict: boolean }) {
    this.#text = text;
    this.strict = options.strict;
  }

  /** The first unit of the next value, after white space; NaN at the end. */
  peek(): number {
    const text = this.#text;
    let code = text.charCodeAt(this.#at);
    while (code === 32 || code === 10 || code === 13 || code === 9) code = text.charCodeAt(++this.#at);
    return code;
  }

  /** Enters an object or an array. */
  open(mark: typeof JsonMark.openObject | typeof JsonMark.openArray): void {
    if (this.peek() !== mark) throw this.fault(mark === JsonMark.openObject ? "an object is expected" : "an array is expected");
    this.#at++;
    if (++this.#depth > maxJsonDepth) throw this.fault(`nesting is deeper than ${maxJsonDepth}`);
  }

  /** True: another member follows. False: the object or array that was opened ends here, and is left. */
  hasNext(first: boolean, close: typeof JsonMark.closeObject | typeof JsonMark.closeArray): boolean {
    const code = this.peek();
    if (code === close) {
      this.#at++;
      this.#depth--;
      return false;
    }
    if (first) return true;
    if (code !== JsonMark.comma) throw this.fault("a comma or the end is expected");
    this.#at++;
    if (this.peek() === close) throw this.fault("nothing follows the comma");
    return true;
  }

  /** The key of the next member, and the colon after it. */
  readKey(): string {
    const key = this.readString();
    if (this.peek() !== JsonMark.colon) throw this.fault("a colon is expected");
    this.#at++;
    return key;
  }

  readString(): string {
    if (this.peek() !== JsonMark.quote) throw this.fault("a string is expected");
    const text = this.#text;
    const start = this.#at + 1;
    let at = start;
    let escaped = false;
    for (let code = text.charCodeAt(at); code !== JsonMark.quote; code = text.charCodeAt(++at)) {
      // NaN, past the end, is not at least 32 either.
      if (!(code >= 32)) throw this.fault("a string does not end, or holds a control character");
      if (code === JsonMark.backslash) {
        escaped = true;
        at++;
      }
    }
    this.#at = at + 1;
    return escaped ? this.#unescape(start - 1, at + 1) : text.slice(start, at);
  }

  #unescape(from: number, to: number): string {
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(from, to)) as string;
    } catch (error) {
      throw this.fault("a string holds an unknown escape", error);
    }
    if (!value.isWellFormed()) throw this.fault("a string holds half a surrogate pair");
    return value;
  }

  /** The text of a number. */
  readNumber(): string {
    this.peek();
    number.lastIndex = this.#at;
    const found = number.exec(this.#text)?.[0];
    if (found === undefined) throw this.fault("a number is expected");
    this.#at += found.length;
    // A digit, letter or dot that goes on is no mark: the reader of the next mark refuses it.
    return found;
  }

  readBoolean(): boolean {
    const code = this.peek();
    if (code === 116 && this.#take("true")) return true;
    if (code === 102 && this.#take("false")) return false;
    throw this.fault("true or false is expected");
  }

  /** Takes a `null` if it is next. */
  takeNull(): boolean {
    return this.peek() === 110 && this.#take("null");
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  /** Reads any value as it is. Numbers become doubles; one out of their range is a fault. */
  readTree(): JsonTree {
    const code = this.peek();
    switch (code) {
      case JsonMark.quote:
        return this.readString();
      case JsonMark.openObject:
        return this.#readObject();
      case JsonMark.openArray: {
        const items: JsonTree[] = [];
        this.open(JsonMark.openArray);
        for (let first = true; this.hasNext(first, JsonMark.closeArray); first = false) items.push(this.readTree());
        return items;
      }
      case 110:
        if (this.takeNull()) return null;
        throw this.fault("a value is expected");
      case 116:
      case 102:
        return this.readBoolean();
      default: {
        const value = Number(this.readNumber());
        if (!Number.isFinite(value)) throw this.fault("a number is out of range");
        return value;
      }
    }
  }

  #readObject(): { [key: string]: JsonTree } {
    const tree: { [key: string]: JsonTree } = {};
    this.open(JsonMark.openObject);
    for (let first = true; this.hasNext(first, JsonMark.closeObject); first = false) {
      const key = this.readKey();
      if (Object.hasOwn(tree, key)) throw this.fault(`the key ${JSON.stringify(key)} stands twice`);
      setOwn(tree, key, this.readTree());
    }
    return tree;
  }

  /** Checks the next value, and gives its text. */
  takeText(): string {
    this.peek();
    const start = this.#at;
    this.readTree();
    return this.#text.slice(start, this.#at);
  }

  /** Checks that nothing but white space is left. */
  end(): void {
    if (!Number.isNaN(this.peek())) throw this.fault("something follows the value");
  }

  /** A fault of the text at this place. */
  fault(detail: string, cause?: unknown): Error {
    return malformedRequest(`JSON, offset ${this.#at}: ${detail}`, cause);
  }
}

/** Sets an own property whatever its name; plain assignment of `__proto__` is lost. */
export function setOwn(target: object, key: string, value: unknown): void {
  if (key === "__proto__") Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  else (target as Record<string, unknown>)[key] = value;
}
