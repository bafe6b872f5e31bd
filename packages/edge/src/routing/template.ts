/** One segment of a template: a literal (decoded), `*` or `**`. */
export type TemplateSegment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "one" }
  | { readonly kind: "rest" };

/** A variable of a template, and the segments whose text it captures. */
export interface TemplateVariable {
  /** Path of the field in proto spelling, such as `user.id`. */
  readonly fieldPath: string;
  /** First of its segments. */
  readonly from: number;
  /** The segment after its last one. */
  readonly to: number;
  /** True: more than one segment, or `**`. Then an escaped slash stays escaped. */
  readonly multiple: boolean;
}

/** A parsed path template of google.api.http. */
export interface Template {
  readonly segments: readonly TemplateSegment[];
  readonly variables: readonly TemplateVariable[];
  /** The text after the last colon; empty without a verb. */
  readonly verb: string;
  /** What the template matches, whatever its variables are called: equal shapes match equal paths. */
  readonly shape: string;
}

const literal = /^(?:[A-Za-z0-9._~!$&'()+,;=@-]|%[0-9A-Fa-f]{2})+$/;
const identifier = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/;

/**
 * Parses a path template (google/api/http.proto, "Path template syntax"). As an extension, literals may follow `**`; it may
 * stand once. Throws an Error that names the template for anything else.
 */
export function parseTemplate(text: string): Template {
  const refuse = (why: string): Error => new Error(`the path template ${JSON.stringify(text)} is malformed: ${why}`);
  if (!text.startsWith("/")) throw refuse("it starts with no slash");
  const segments: TemplateSegment[] = [];
  const variables: TemplateVariable[] = [];
  const { path, verb } = cutVerb(text.slice(1));
  if (verb !== undefined && !literal.test(verb)) throw refuse("its verb is no literal");
  const addSegment = (segment: string): void => {
    if (segment === "*") segments.push({ kind: "one" });
    else if (segment === "**") segments.push({ kind: "rest" });
    else if (literal.test(segment)) segments.push({ kind: "literal", text: decodeLiteral(segment, refuse) });
    else throw refuse(`${JSON.stringify(segment)} is no segment`);
  };
  for (const part of splitOutsideBraces(path)) {
    if (!part.startsWith("{")) {
      addSegment(part);
      continue;
    }
    if (!part.endsWith("}")) throw refuse("a brace does not close its segment");
    const [fieldPath, inner = "*"] = splitOnce(part.slice(1, -1), "=");
    if (!identifier.test(fieldPath)) throw refuse(`${JSON.stringify(fieldPath)} is no field path`);
    if (variables.some((variable) => overlaps(variable.fieldPath, fieldPath))) throw refuse(`${fieldPath} is bound twice`);
    const from = segments.length;
    for (const segment of inner.split("/")) addSegment(segment);
    const to = segments.length;
    variables.push({ fieldPath, from, to, multiple: to - from > 1 || segments[from]?.kind === "rest" });
  }
  if (segments.filter(({ kind }) => kind === "rest").length > 1) throw refuse("** stands more than once");
  return { segments, variables, verb: verb ?? "", shape: shapeOf(segments, verb ?? "") };
}

function cutVerb(path: string): { readonly path: string; readonly verb: string | undefined } {
  const colon = path.lastIndexOf(":");
  if (colon <= Math.max(path.lastIndexOf("/"), path.lastIndexOf("}") - 1)) return { path, verb: undefined };
  return { path: path.slice(0, colon), verb: path.slice(colon + 1) };
}

function splitOutsideBraces(path: string): string[] {
  // A slash inside braces is followed by a closing brace before any opening one.
  return path.split(/\/(?![^{}]*\})/);
}

function splitOnce(text: string, mark: string): [string, string?] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decodeLiteral(segment: string, refuse: (why: string) => Error): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw refuse(`${JSON.stringify(segment)} is no UTF-8`);
  }
}

function overlaps(one: string, other: string): boolean {
  return `${one}.`.startsWith(`${other}.`) || `${other}.`.startsWith(`${one}.`);
}

function shapeOf(segments: readonly TemplateSegment[], verb: string): string {
  const text = (segment: TemplateSegment): string => {
    if (segment.kind === "literal") return encodeURIComponent(segment.text);
    return segment.kind === "one" ? "*" : "**";
  };
  return `/${segments.map(text).join("/")}${verb === "" ? "" : `:${verb}`}`;
}
