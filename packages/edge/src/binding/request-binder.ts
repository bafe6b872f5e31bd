import { isUtf8 } from "node:buffer";
import { create } from "@bufbuild/protobuf";
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { malformedRequest } from "../errors/request-error.ts";
import type { JsonCursor } from "../json/json-cursor.ts";
import { readJson } from "../json/message-reader.ts";
import type { JsonReaders, Members } from "../json/message-reader.ts";
import { hasSpecialJson } from "../json/well-known.ts";
import type { Template } from "../routing/template.ts";
import { setField } from "./field-path.ts";
import { derivePatchMask, maskFieldOf } from "./patch-mask.ts";
import { compilePathBinder } from "./path-binder.ts";
import { compileQueryBinder } from "./query-binder.ts";
import type { QueryRules } from "./query-binder.ts";

/** How strictly requests are bound. */
export interface BindingRules extends QueryRules {
  /** True: unknown fields and unknown enum names of a JSON body are faults; otherwise they are dropped. */
  readonly strictBody: boolean;
}

/** A body as it came, its content coding undone. */
export interface RequestBody {
  readonly bytes: Uint8Array;
  readonly contentType: string;
}

/** Builds the request of a rule out of the parts of an HTTP request. */
export interface RequestBinder {
  /** What is done with a body: read as JSON, taken as it is (google.api.HttpBody), or dropped. */
  readonly body: "json" | "raw" | "none";
  /** Path before body before query: what the path says cannot be replaced. Throws INVALID_ARGUMENT. */
  bind(captures: readonly string[], query: string, body: RequestBody): Message;
}

/** The rule that a binder is compiled from: one binding of google.api.http. */
export interface BindingRule {
  readonly httpMethod: string;
  readonly template: Template;
  /** Name of the field that the body is, `*` for the whole message, empty for none. */
  readonly body: string;
}

type BindBody = (message: Members, body: RequestBody, querySet: ReadonlySet<string>) => void;

/** Compiles a rule for requests of type `desc`. Throws an Error that says which field the rule names wrongly. */
export function compileRequestBinder(
  desc: DescMessage,
  rule: BindingRule,
  { readers, rules }: { readonly readers: JsonReaders; readonly rules: BindingRules },
): RequestBinder {
  const path = compilePathBinder(desc, rule.template);
  if (rule.body === "*") return wholeBodyBinder(desc, path, { readers, rules });
  const field = rule.body === "" ? undefined : desc.fields.find(({ name }) => name === rule.body);
  if (rule.body !== "" && field === undefined) throw new Error(`${desc.typeName} has no field ${rule.body} for the body`);
  const query = compileQueryBinder(desc, field === undefined ? path.owned : [...path.owned, field.name], rules);
  const raw = field?.fieldKind === "message" && field.message.typeName === "google.api.HttpBody";
  const bindBody = field && (raw ? rawFieldBinder(field) : fieldBinder(field, { readers, rules, rule, owned: path.owned }));
  return {
    body: bindBody === undefined ? "none" : raw ? "raw" : "json",
    bind(captures, queryText, body) {
      const message = create(desc) as Message & Members;
      const querySet = query.bind(message, queryText);
      bindBody?.(message, body, querySet);
      path.bind(message, captures);
      return message;
    },
  };
}

function wholeBodyBinder(
  desc: DescMessage,
  path: ReturnType<typeof compilePathBinder>,
  { readers, rules }: { readonly readers: JsonReaders; readonly rules: BindingRules },
): RequestBinder {
  const raw = desc.typeName === "google.api.HttpBody";
  const read = readers.message(desc);
  return {
    body: raw ? "raw" : "json",
    bind(captures, _query, body) {
      const message = raw ? rawMessage(desc, body) : body.bytes.length === 0 ? create(desc) : readBody(body, read, rules);
      path.bind(message as Message & Members, captures);
      return message as Message;
    },
  };
}

interface FieldBinderContext {
  readonly readers: JsonReaders;
  readonly rules: BindingRules;
  readonly rule: BindingRule;
  readonly owned: readonly string[];
}

function fieldBinder(field: DescField, { readers, rules, rule, owned }: FieldBinderContext): BindBody {
  const read = readers.field(field);
  const message = field.fieldKind === "message" ? field.message : undefined;
  const mask =
    rule.httpMethod === "PATCH" && message !== undefined && !hasSpecialJson(message) ? maskFieldOf(field.parent) : undefined;
  const prefix = `${field.name}.`;
  const ownedInside = owned.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return (into, body, querySet) => {
    if (body.bytes.length === 0) {
      if (message?.typeName === "google.protobuf.Struct") setField(into, field, {});
      else if (message !== undefined && !hasSpecialJson(message)) setField(into, field, create(message));
      return;
    }
    const text = toText(body.bytes);
    readJson(
      text,
      (cursor) => {
        if (message !== undefined && !hasSpecialJson(message) && cursor.takeNull()) throw cursor.fault("an object is expected");
        read(cursor, into);
      },
      { strict: rules.strictBody },
    );
    if (mask === undefined || message === undefined || querySet.has(mask.name)) return;
    const paths = derivePatchMask(message, JSON.parse(text), ownedInside);
    if (paths.length > 0) setField(into, mask, create(FieldMaskSchema, { paths }));
  };
}

function rawFieldBinder(field: DescField): BindBody {
  return (into, body) => setField(into, field, rawMessage(field.message as DescMessage, body));
}

function rawMessage(desc: DescMessage, { bytes, contentType }: RequestBody): Message {
  return create(desc, { contentType, data: bytes } as never);
}

function readBody<Value>({ bytes }: RequestBody, read: (cursor: JsonCursor) => Value, rules: BindingRules): Value {
  return readJson(toText(bytes), read, { strict: rules.strictBody });
}

/** The text of a JSON body. Throws INVALID_ARGUMENT if it is no UTF-8; a byte order mark is left to the parser, which refuses it. */
export function toText(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw malformedRequest("the body is no UTF-8");
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
