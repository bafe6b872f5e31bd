/**
 * Where the CPU time of our server goes in a unary call: a sampling profile of a server under the load of `main.ts`, as
 * shares of its busy time.
 *
 *   node bench/call/profile.ts [--seconds 8]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { Session } from "node:inspector/promises";
import type { Profiler } from "node:inspector";
import { parseArgs } from "node:util";
import { startClient, startServer } from "./peers.ts";

/** What a sample counts for: the first that fits its frames, from the innermost out. */
const parts: readonly (readonly [part: string, of: RegExp])[] = [
  ["the line of log", /\/pino\/|\/observability\//],
  ["the rules of the contract", /\/protovalidate\/|\/message-check\.ts/],
  ["codec of requests and answers", /\/fixture\/gen\//],
];

function profileParts({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Map<string, number> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parentOf = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const partOf = (sampled: number): string | undefined => {
    const { functionName, url } = byId.get(sampled)?.callFrame ?? { functionName: "", url: "" };
    if (functionName === "(idle)") return undefined;
    if (functionName === "(garbage collector)") return "garbage collection";
    for (let id: number | undefined = sampled; id !== undefined; id = parentOf.get(id)) {
      const frame = byId.get(id)?.callFrame.url ?? "";
      const found = parts.find(([, of]) => of.test(frame));
      if (found !== undefined) return found[0];
    }
    if (url.startsWith("node:")) return "HTTP/2, streams and timers of Node";
    return url.includes("/packages/mesh/") ? "the mesh: transport and stages" : "native code and the rest";
  };
  const times = new Map<string, number>();
  for (const [index, sampled] of samples.entries()) {
    const part = partOf(sampled);
    if (part !== undefined) times.set(part, (times.get(part) ?? 0) + (timeDeltas[index] ?? 0));
  }
  return times;
}

async function beServer(): Promise<void> {
  process.on("disconnect", () => process.exit());
  process.send?.({ port: await startServer("our server") });
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await once(process, "message"); // The server is warm.
  await session.post("Profiler.start");
  await once(process, "message");
  const { profile } = await session.post("Profiler.stop");
  process.send?.({ times: [...profileParts(profile)] });
}

async function main(seconds: number): Promise<void> {
  const child = fork(import.meta.filename, ["--server"], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  const callOnce = startClient("our client", "unary", port);
  const load = async (ms: number): Promise<void> => {
    const endMs = performance.now() + ms;
    const loop = async (): Promise<void> => {
      while (performance.now() < endMs) await callOnce();
    };
    await Promise.all(Array.from({ length: 64 }, loop));
  };
  await load(3_000);
  child.send("start");
  await load(seconds * 1_000);
  const answered = once(child, "message");
  child.send("stop");
  const [{ times }] = (await answered) as [{ times: [string, number][] }];
  child.disconnect();
  const total = times.reduce((sum, [, time]) => sum + time, 0);
  console.log("| part of the server | share of its busy time |\n|---|---|");
  for (const [part, time] of times.toSorted(([, a], [, b]) => b - a))
    console.log(`| ${part} | ${((100 * time) / total).toFixed(0)} % |`);
  process.exit(); // The client keeps its connection.
}

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "8" }, server: { type: "boolean", default: false } },
});
if (values.server) await beServer();
else await main(Number(values.seconds));
