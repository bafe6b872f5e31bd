/**
 * What a call costs, unary, server stream and bidi: CPU time of client and server apart, our client against a bare grpc-js
 * client, our server (contract validation on, one log line a call to /dev/null) against a bare grpc-js server. Each is a
 * process of its own; the windows of all pairs alternate within one run, and the median window of each is shown. CPU time
 * is the figure to compare: throughput is what the machine, shared by client and server, leaves.
 *
 *   node bench/call/main.ts [--kind unary] [--seconds 2] [--windows 5]
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { messagesPerStream, startClient, startServer } from "./peers.ts";
import type { ClientRole, Kind, ServerRole } from "./peers.ts";

const bare = [
  ["bare client", "bare server"],
  ["our client", "bare server"],
  ["bare client", "our server"],
  ["our client", "our server"],
] as const satisfies readonly Pair[];

type Pair = readonly [ClientRole, ServerRole];

/** What is measured, between whom, and how many calls are in flight. */
const benches: readonly { readonly kind: Kind; readonly pairs: readonly Pair[]; readonly parallel: number }[] = [
  { kind: "unary", pairs: [...bare, ["ts-proto client, our channel", "bare server"]], parallel: 64 },
  { kind: "server stream", pairs: bare, parallel: 8 },
  { kind: "bidi", pairs: bare, parallel: 8 },
];

const messagesOf: Readonly<Record<Kind, string>> = {
  unary: "",
  "server stream": ` with ${messagesPerStream} answers each`,
  bidi: ` with ${messagesPerStream} requests and answers each`,
};

interface Window {
  /** Calls, or messages of streams. */
  readonly units: number;
  readonly seconds: number;
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Makes calls for a time, so many at once. */
async function runWindow(callOnce: () => Promise<number>, ms: number, parallel: number): Promise<Window> {
  const latencies: number[] = [];
  let units = 0;
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const loop = async (): Promise<void> => {
    for (;;) {
      const atMs = performance.now();
      if (atMs - startedMs >= ms) return;
      const had = await callOnce();
      units += had;
      latencies.push(performance.now() - atMs);
    }
  };
  await Promise.all(Array.from({ length: parallel }, loop));
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const at = (ratio: number): number => latencies[Math.floor(latencies.length * ratio)] ?? 0;
  return { units, seconds, cpuUs: user + system, p50Ms: at(0.5), p99Ms: at(0.99) };
}

interface ChildOptions {
  readonly role: ClientRole | ServerRole;
  readonly kind: Kind;
  readonly port: number;
}

/** A child: says its port when it serves, answers `cpu` and `run`. */
async function beChild({ role, kind, port }: ChildOptions): Promise<void> {
  const isServer = role === "bare server" || role === "our server";
  const callOnce = isServer ? undefined : startClient(role, kind, port);
  const say = (message: object): void => void process.send?.(message);
  process.on("disconnect", () => process.exit());
  process.on("message", (message: { run?: { ms: number; parallel: number } }) => {
    if (callOnce === undefined || message.run === undefined) {
      const { user, system } = process.cpuUsage();
      return say({ cpuUs: user + system });
    }
    void runWindow(callOnce, message.run.ms, message.run.parallel).then(say);
  });
  say({ port: isServer ? await startServer(role) : port });
}

async function ask<T>(child: ChildProcess, message?: object): Promise<T> {
  const replied = once(child, "message");
  if (message !== undefined) child.send(message);
  return (await replied)[0] as T;
}

async function start({ role, kind, port }: ChildOptions): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const child = fork(import.meta.filename, ["--role", role, "--kind", kind, "--port", String(port)], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  return { child, port: (await ask<{ port: number }>(child)).port };
}

interface Row extends Window {
  readonly serverUs: number;
}

async function measure(
  { kind, pairs, parallel }: (typeof benches)[number],
  { ms, windows }: { readonly ms: number; readonly windows: number },
): Promise<void> {
  const servers = {
    "bare server": await start({ role: "bare server", kind, port: 0 }),
    "our server": await start({ role: "our server", kind, port: 0 }),
  };
  const clients = await Promise.all(pairs.map(([role, server]) => start({ role, kind, port: servers[server].port })));
  const rows: Row[][] = pairs.map(() => []);
  for (let window = -1; window < windows; window++) {
    for (const [index, [, server]] of pairs.entries()) {
      const client = clients[index];
      if (client === undefined) continue;
      const before = await ask<{ cpuUs: number }>(servers[server].child, {});
      const measured = await ask<Window>(client.child, { run: { ms, parallel } });
      const after = await ask<{ cpuUs: number }>(servers[server].child, {});
      // The first round warms all processes up.
      if (window >= 0) rows[index]?.push({ ...measured, serverUs: after.cpuUs - before.cpuUs });
    }
  }
  for (const { child } of [...clients, ...Object.values(servers)]) child.disconnect();
  const unit = kind === "unary" ? "call" : "message";
  console.log(
    `\n${kind}: ${windows} windows of ${ms} ms each, ${parallel} calls in flight${messagesOf[kind]}, 100 bytes a message\n`,
  );
  print(rows, { pairs, unit });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function print(rows: readonly Row[][], { pairs, unit }: { readonly pairs: readonly Pair[]; readonly unit: string }): void {
  const of = (index: number, value: (row: Row) => number): number => median((rows[index] ?? []).map(value));
  const clientUs = (index: number): number => of(index, (row) => row.cpuUs / row.units);
  const serverUs = (index: number): number => of(index, (row) => row.serverUs / row.units);
  console.log(
    `| client | server | client CPU us/${unit} | ratio | server CPU us/${unit} | ratio | ${unit}s/s | p50 ms | p99 ms |`,
  );
  console.log("|---|---|---|---|---|---|---|---|---|");
  for (const [index, [client, server]] of pairs.entries()) {
    const cells = [
      clientUs(index).toFixed(1),
      (clientUs(index) / clientUs(0)).toFixed(2),
      serverUs(index).toFixed(1),
      (serverUs(index) / serverUs(0)).toFixed(2),
      of(index, (row) => row.units / row.seconds).toFixed(0),
      of(index, (row) => row.p50Ms).toFixed(2),
      of(index, (row) => row.p99Ms).toFixed(2),
    ];
    console.log(`| ${client} | ${server} | ${cells.join(" | ")} |`);
  }
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "2" },
    windows: { type: "string", default: "5" },
    kind: { type: "string" },
    role: { type: "string" },
    port: { type: "string", default: "0" },
  },
});
if (values.role !== undefined) await beChild({ ...values, port: Number(values.port) } as ChildOptions);
else {
  console.log(`Node ${process.version}, ${availableParallelism()} cores`);
  for (const bench of benches) {
    if (values.kind !== undefined && values.kind !== bench.kind) continue;
    await measure(bench, { ms: Number(values.seconds) * 1_000, windows: Number(values.windows) });
  }
}
