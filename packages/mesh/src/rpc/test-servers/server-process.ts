import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { createEndpoint } from "../../base/endpoint.ts";
import type { Endpoint } from "../../base/endpoint.ts";

/** A server in a process of its own, which can be stopped and killed. */
export interface ServerProcess extends AsyncDisposable {
  readonly endpoint: Endpoint;
  signal(signal: NodeJS.Signals): void;
}

// Answers each call with what was sent, after 2 ms: some are in flight at any time.
const program = `
  import { createServer } from "node:http2";
  const server = createServer();
  server.on("session", (session) => session.on("error", () => {}));
  server.on("stream", (stream) => {
    const parts = [];
    stream.on("error", () => {});
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => setTimeout(() => {
      if (stream.destroyed) return;
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.concat(parts));
    }, 2));
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
  process.stdin.on("end", () => process.exit()).resume();
`;

/** Starts it. It ends with this process, too: its standard input then closes. */
export async function startServerProcess(): Promise<ServerProcess> {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["pipe", "pipe", "inherit"] });
  const [port] = (await once(createInterface(child.stdout), "line")) as [string];
  return {
    endpoint: createEndpoint("127.0.0.1", Number(port)),
    signal: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
