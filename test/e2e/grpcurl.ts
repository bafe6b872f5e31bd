import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { part } from "../../tools/parts.ts";

const run = promisify(execFile);
const program = (): string => part("grpcurl") ?? "grpcurl";

/** Runs the real grpcurl. Rejects when it fails; `stderr` of the error says why, `stdout` what had come before. */
export async function grpcurl(...args: readonly string[]): Promise<string> {
  const { stdout } = await run(program(), ["-plaintext", "-max-time", "10", ...args]);
  return stdout.trim();
}

/** A message as grpcurl prints it: JSON. */
export type Printed = Readonly<Record<string, unknown>>;

/** The messages that grpcurl has printed, one after the other, whole ones only. */
export function printedMessages(stdout: string): Printed[] {
  // grpcurl indents what is inside: a brace that begins a line ends a message, and an empty one is a line of its own.
  return stdout
    .split(/(?<=^\{?\}\n)/m)
    .filter((text) => /^\{?\}\s*$(?![^])/m.test(text))
    .map((text) => JSON.parse(text) as Printed);
}

/** Calls a method by reflection with these requests, and gives its answers. Rejects as `grpcurl` does. */
export async function callByReflection(address: string, method: string, ...requests: readonly object[]): Promise<Printed[]> {
  return printedMessages(await grpcurl("-d", requests.map((request) => JSON.stringify(request)).join("\n"), address, method));
}

/** A call whose answer goes on. */
export interface OpenCall extends Disposable {
  /** What has come so far. */
  messages(): Printed[];
}

/** Starts a call that goes on until it is disposed. */
export function openByReflection(address: string, method: string, request: object): OpenCall {
  const child = spawn(program(), ["-plaintext", "-max-time", "60", "-d", JSON.stringify(request), address, method], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return { messages: () => printedMessages(text), [Symbol.dispose]: () => void child.kill("SIGKILL") };
}
