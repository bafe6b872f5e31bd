import { FilterError } from "./filter-error.ts";

/** A value or a selector; a value without quotes may be either. */
export interface Operand {
  /** The value: without its quotes, or as it was written. */
  readonly text: string;
  /** The path, where the operand can be a selector. */
  readonly selector: readonly string[] | undefined;
}

/** Reads the words of a filter from left to right. */
export interface Scanner {
  readonly position: number;
  readonly atEnd: boolean;
  goTo(position: number): void;
  /** Skips white space, if there is any. */
  space(): void;
  /** Takes a text that stands here. */
  take(text: string): boolean;
  /** Takes a word that stands here and white space behind it. */
  word(text: string): boolean;
  /** Takes white space, a word and white space again; takes nothing if one is missing. */
  spacedWord(text: string): boolean;
  operand(): Operand | undefined;
  expected(what: string): FilterError;
  failed(what: string): FilterError;
}

const spaces = /[ \t\r\n]+/y;
const quoted = /"((?:[^"\\\n]|\\.)*)"|`([^`]*)`/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?=[ \t\r\n)]|$)/y;
const selector = /[A-Za-z]\w*(?:\.[A-Za-z]\w*|\["(?:[^"\\\n]|\\.)*"\]|\[`[^`]*`\])*/y;
const step = /\.([A-Za-z]\w*)|\["((?:[^"\\\n]|\\.)*)"\]|\[`([^`]*)`\]/g;
const escape = /\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))/g;
const escaped: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\" };

/** Starts at the beginning of a text. */
export function createScanner(source: string): Scanner {
  let position = 0;
  const match = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = position;
    const found = pattern.exec(source) ?? undefined;
    if (found !== undefined) position += found[0].length;
    return found;
  };
  const failed = (what: string): FilterError => new FilterError(`1:${position + 1} (${position}): ${what}`);
  const take = (text: string): boolean => {
    if (!source.startsWith(text, position)) return false;
    position += text.length;
    return true;
  };
  const all = (...steps: readonly (() => boolean)[]): boolean => {
    const start = position;
    if (steps.every((isThere) => isThere())) return true;
    position = start;
    return false;
  };
  const space = (): boolean => match(spaces) !== undefined;
  return {
    get position() {
      return position;
    },
    get atEnd() {
      return position === source.length;
    },
    goTo: (start) => void (position = start),
    space: () => void space(),
    take,
    word: (text) => all(() => take(text), space),
    spacedWord: (text) => all(space, () => take(text), space),
    operand() {
      const literal = match(quoted);
      if (literal !== undefined) return { text: literal[2] ?? unescape(literal[1] ?? "", failed), selector: undefined };
      const digits = match(number);
      if (digits !== undefined) return { text: digits[0], selector: undefined };
      const path = match(selector);
      return path === undefined ? undefined : { text: path[0], selector: stepsOf(path[0], failed) };
    },
    expected: (what) => failed(`no match found, expected: ${what}`),
    failed,
  };
}

function stepsOf(path: string, failed: (what: string) => FilterError): readonly string[] {
  const steps = [...`.${path}`.matchAll(step)];
  return steps.map(([, name, inQuotes, raw]) => name ?? raw ?? unescape(inQuotes ?? "", failed));
}

function unescape(text: string, failed: (what: string) => FilterError): string {
  return text.replaceAll(escape, (_, hex: string | undefined, unicode: string | undefined, letter: string | undefined) => {
    const code = hex ?? unicode;
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    const plain = escaped[letter ?? ""];
    if (plain === undefined) throw failed(`unknown escape \\${letter ?? ""}`);
    return plain;
  });
}
