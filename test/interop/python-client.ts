import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { part } from "../../tools/parts.ts";

/** Kinds of the methods of each service. */
export type ListedServices = Readonly<Record<string, Readonly<Record<string, "unary" | "server" | "client" | "bidi">>>>;

/** What to send, and how; client.py describes the fields. */
export interface PythonCall {
  readonly requests?: readonly object[];
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly cancelAfter?: number;
  readonly cancelAfterMs?: number;
  readonly lockstep?: boolean;
}

/** What came of a call. */
export interface PythonAnswer {
  readonly responses: readonly Readonly<Record<string, unknown>>[];
  readonly code: string;
  readonly message: string;
  readonly details: readonly Readonly<Record<string, unknown>>[];
  readonly initial: Readonly<Record<string, string>>;
  readonly trailing: Readonly<Record<string, string>>;
  readonly elapsed_ms: number;
}

/** A Python process that calls what it is told to. */
export interface PythonClient extends AsyncDisposable {
  /** What reflection lists at an address. */
  list(address: string): Promise<ListedServices>;
  /** Calls `package.Service/Method`. Resolves whatever the call's code is; rejects if the client itself fails. */
  call(address: string, method: string, call?: PythonCall): Promise<PythonAnswer>;
}

/** Starts client.py in the virtual environment of the tools. One command at a time. */
export function startPythonClient(): PythonClient {
  const child = spawn(part("python") ?? "python3", ["-u", join(import.meta.dirname, "client.py")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (command: object): Promise<object> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    const line = await lines.next();
    if (line.done === true) throw new Error(`the Python client ended with ${child.exitCode}`);
    const answer = JSON.parse(line.value) as object;
    if ("failed" in answer) throw new Error(String(answer.failed));
    return answer;
  };
  return {
    list: async (address) => ((await ask({ address, list: true })) as { services: ListedServices }).services,
    call: async (address, method, { requests = [{}], metadata, lockstep, ...limits } = {}) =>
      (await ask({
        address,
        method,
        requests,
        metadata,
        lockstep,
        timeout_ms: limits.timeoutMs,
        cancel_after: limits.cancelAfter,
        cancel_after_ms: limits.cancelAfterMs,
      })) as PythonAnswer,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}
