import type { DescMessage } from "@bufbuild/protobuf";
import { malformedRequest } from "../errors/request-error.ts";
import { setOwn } from "../json/json-cursor.ts";
import { parseMapKey } from "../json/message-reader.ts";
import type { Members } from "../json/message-reader.ts";
import { decodeForm } from "../routing/raw-path.ts";
import { findField, holderOf, isWithin, setField, valueOf } from "./field-path.ts";
import type { FieldPath } from "./field-path.ts";
import { urlValueParser } from "./url-value.ts";
import type { ParseUrlValue } from "./url-value.ts";

/** What becomes of query parameters that set nothing. */
export interface QueryRules {
  /** Parameters that are skipped although no field has their name. */
  readonly allowed: ReadonlySet<string>;
  /** True: every unknown parameter is skipped. */
  readonly ignoreUnknown: boolean;
}

/** Puts the parameters of a query into a request. */
export interface QueryBinder {
  /** Gives the fields that were set, in proto spelling. Throws INVALID_ARGUMENT, naming the parameter. */
  bind(message: Members, query: string): ReadonlySet<string>;
}

interface Parameter {
  readonly path: FieldPath;
  readonly parse: ParseUrlValue;
  /** True: path or body own the field, and the parameter is dropped. */
  readonly dropped: boolean;
}

const noFields: ReadonlySet<string> = new Set();
const maxCachedNames = 256;

/** Compiles the query of a rule. `owned` are the fields, in proto spelling, that belong to the path or the body. */
export function compileQueryBinder(desc: DescMessage, owned: readonly string[], rules: QueryRules): QueryBinder {
  // Clients use few names, again and again; the bound keeps out the others.
  const cache = new Map<string, Parameter>();
  const parameter = (name: string): Parameter | undefined => {
    const cached = cache.get(name);
    if (cached !== undefined) return cached;
    const found = findParameter(desc, name, owned);
    if (found !== undefined && cache.size < maxCachedNames) cache.set(name, found);
    return found;
  };
  return {
    bind(message, query) {
      if (query === "") return noFields;
      const seen = new Set<string>();
      for (const part of query.split("&")) {
        if (part === "") continue;
        const equals = part.indexOf("=");
        const key = decodeForm(equals < 0 ? part : part.slice(0, equals));
        const value = decodeForm(equals < 0 ? "" : part.slice(equals + 1));
        const bracket = key.endsWith("]") ? key.indexOf("[") : -1;
        const name = bracket < 0 ? key : key.slice(0, bracket);
        const found = parameter(name);
        if (found === undefined) {
          if (rules.ignoreUnknown || rules.allowed.has(key)) continue;
          throw malformedRequest(`${JSON.stringify(key)} is no query parameter of this path`);
        }
        if (!found.dropped)
          set(message, found, { key, entry: bracket < 0 ? undefined : key.slice(bracket + 1, -1), value, seen });
      }
      return seen;
    },
  };
}

function findParameter(desc: DescMessage, name: string, owned: readonly string[]): Parameter | undefined {
  const path = findField(desc, name);
  if (path === undefined) return undefined;
  const dropped = owned.some((owner) => isWithin(path.name, owner));
  const parse = urlValueParser(path.field);
  if (parse !== undefined) return { path, parse, dropped };
  return dropped ? { path, parse: () => undefined, dropped } : undefined;
}

interface Given {
  readonly key: string;
  readonly entry: string | undefined;
  readonly value: string;
  readonly seen: Set<string>;
}

function set(message: Members, { path, parse }: Parameter, { key, entry, value: text, seen }: Given): void {
  const { field } = path;
  const refuse = (why: string): Error => malformedRequest(`query parameter ${JSON.stringify(key)}: ${why}`);
  if ((field.fieldKind === "map") !== (entry !== undefined))
    throw refuse(entry === undefined ? "a map needs a key" : "it is no map");
  const value = parse(text);
  if (value === undefined) throw refuse(`${JSON.stringify(text)} is no value of its type`);
  const holder = path.fields.length === 1 ? message : holderOf(message, path);
  if (field.fieldKind === "list") {
    (holder[field.localName] as unknown[]).push(value);
    seen.add(path.name);
    return;
  }
  const place = entry === undefined ? path.name : `${path.name}[${entry}]`;
  if (seen.has(place)) throw refuse("it is given twice");
  seen.add(place);
  if (field.fieldKind === "map") {
    const mapKey = parseMapKey(entry ?? "", field.mapKey);
    if (mapKey === undefined) throw refuse("its key is none of the map's type");
    setOwn(holder[field.localName] as object, mapKey, value);
    return;
  }
  if (field.oneof !== undefined) {
    const { case: chosen } = holder[field.oneof.localName] as { readonly case?: string };
    if (chosen !== undefined && valueOf(holder, field) === undefined) throw refuse(`${field.oneof.name} is set already`);
  }
  setField(holder, field, value);
}
