import { createContext, Script } from "node:vm";
import { FilterError } from "./filter-error.ts";

/** Longest time for one text. A pattern that goes back and forth without end would stop the whole process. */
const timeoutMs = 50;

/** A test of texts by a regular expression, anywhere in the text. Flags may stand in front, as in `(?i)abc`. Throws FilterError. */
export function createPattern(source: string): (text: string) => boolean {
  const { flags, body } = /^\(\?(?<flags>[ims]+)\)(?<body>.*)$/s.exec(source)?.groups ?? { flags: "", body: source };
  const sandbox: { pattern: RegExp; text: string } = { pattern: compile(body ?? "", flags ?? ""), text: "" };
  const context = createContext(sandbox);
  const script = new Script("pattern.test(text)");
  return (text) => {
    sandbox.text = text;
    try {
      return script.runInContext(context, { timeout: timeoutMs }) === true;
    } catch (error) {
      throw new FilterError(`Regular expression ${JSON.stringify(source)} takes too long`, { cause: error });
    }
  };
}

function compile(body: string, flags: string): RegExp {
  try {
    return new RegExp(body, `u${flags}`);
  } catch (error) {
    throw new FilterError(`Failed to compile regular expression ${JSON.stringify(body)}`, { cause: error });
  }
}
