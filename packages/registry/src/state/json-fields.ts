import { badRequest, notSupported } from "../problem.ts";
import { toDurationMs } from "./duration.ts";

/**
 * Reads the fields of one JSON object in the way that Consul's agent does: names in any case and with or without
 * underscores, null as absent, an unknown name refused. Each name is asked for once; `finish` refuses the rest.
 */
export interface JsonFields {
  text(name: string): string;
  /** A whole number; 0 when absent. */
  integer(name: string): number;
  flag(name: string): boolean;
  /** A Go duration or nanoseconds, in ms; 0 when absent. */
  durationMs(name: string): number;
  texts(name: string): readonly string[];
  textMap(name: string): Readonly<Record<string, string>>;
  /** Values that are lists of texts, as headers have them. */
  textsMap(name: string): Readonly<Record<string, readonly string[]>>;
  object(name: string): JsonFields | undefined;
  objects(name: string): readonly JsonFields[];
  objectMap(name: string): ReadonlyMap<string, JsonFields>;
  /** Takes names that mean nothing here. */
  ignore(...names: readonly string[]): void;
  /** Refuses names whose value is not empty. */
  refuse(...names: readonly string[]): void;
  /** Refuses every name that was not asked for. */
  finish(): void;
}

/** Reads a body. Throws Problem 400 for text that is no JSON, and for a value that is no object. */
export function parseJsonFields(body: string): JsonFields {
  if (body.trim() === "") throw decodeFailed("the body is empty");
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    throw decodeFailed(error instanceof Error ? error.message : "no JSON");
  }
  return createJsonFields(value ?? {}, "the body");
}

function createJsonFields(value: unknown, path: string): JsonFields {
  if (!isObject(value)) throw decodeFailed(`${path} is no object`);
  const left = new Map(Object.entries(value).map(([name, inner]) => [plain(name), { name, inner }]));
  const take = (name: string): unknown => {
    const found = left.get(plain(name));
    left.delete(plain(name));
    return found?.inner ?? undefined;
  };
  const wrong = (name: string, what: string): Error => decodeFailed(`field ${name} is no ${what}`);
  const entries = (name: string): readonly (readonly [string, unknown])[] => {
    const inner = take(name) ?? {};
    if (!isObject(inner)) throw wrong(name, "object");
    return Object.entries(inner);
  };
  return {
    text: (name) => textOf(take(name) ?? "", () => wrong(name, "string")),
    integer(name) {
      const inner = take(name) ?? 0;
      if (typeof inner !== "number" || !Number.isInteger(inner)) throw wrong(name, "whole number");
      return inner;
    },
    flag(name) {
      const inner = take(name) ?? false;
      if (typeof inner !== "boolean") throw wrong(name, "boolean");
      return inner;
    },
    durationMs(name) {
      const inner = take(name) ?? 0;
      if (typeof inner !== "string" && typeof inner !== "number") throw wrong(name, "duration");
      return toDurationMs(inner);
    },
    texts: (name) => textsOf(take(name) ?? [], () => wrong(name, "list of strings")),
    textMap: (name) =>
      Object.fromEntries(entries(name).map(([key, inner]) => [key, textOf(inner, () => wrong(name, "map of strings"))])),
    textsMap: (name) =>
      Object.fromEntries(
        entries(name).map(([key, inner]) => [key, textsOf(inner, () => wrong(name, "map of lists of strings"))]),
      ),
    object(name) {
      const inner = take(name);
      return inner === undefined ? undefined : createJsonFields(inner, name);
    },
    objects(name) {
      const inner = take(name) ?? [];
      if (!Array.isArray(inner)) throw wrong(name, "list");
      return inner.map((item: unknown) => createJsonFields(item, name));
    },
    objectMap: (name) => new Map(entries(name).map(([key, inner]) => [key, createJsonFields(inner, name)])),
    ignore: (...names) => names.forEach(take),
    refuse(...names) {
      for (const name of names) if (!isEmpty(take(name))) throw notSupported(name);
    },
    finish() {
      for (const { name } of left.values()) throw decodeFailed(`unknown field ${JSON.stringify(name)}`);
    },
  };
}

function decodeFailed(what: string): Error {
  return badRequest(`Request decode failed: ${what}`);
}

function plain(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value === undefined || value === "" || value === 0 || value === false;
  return Object.values(value).every(isEmpty);
}

function textOf(value: unknown, problem: () => Error): string {
  if (typeof value !== "string") throw problem();
  return value.toWellFormed();
}

function textsOf(value: unknown, problem: () => Error): readonly string[] {
  if (!Array.isArray(value)) throw problem();
  return value.map((item) => textOf(item, problem));
}
