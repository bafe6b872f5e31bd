/**
 * What a unary call costs: CPU time of client and server apart, our client against a bare grpc-js client, our server (contract
 * validation on, one log line a call to /dev/null) against a bare grpc-js server. Each is a process of its own; the
 * windows of all pairs alternate within one run, and the median window of each is shown. CPU time is the figure to
 * compare: throughput is what the machine, shared by client and server, leaves.
 *
 *   node bench/call.ts [--seconds 2] [--windows 5] [--calls 64]
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Client as GrpcClient, Server as GrpcServer, Metadata, ServerCredentials, credentials } from "@grpc/grpc-js";
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { FixtureService } from "@protoloom/fixture";
import {
  createEndpoint,
  createEnvReader,
  createLogger,
  createMesh,
  createStaticResolver,
  implement,
  readServerConfig,
  serve,
} from "@protoloom/mesh";

const text = "x".repeat(100);
const answer = (given: string): { text: string; instance: string; remainingMs: bigint; pad: Buffer; index: number } => ({
  text: given,
  instance: "127.0.0.1:50051",
  remainingMs: 5_000n,
  pad: Buffer.alloc(0),
  index: 0,
});

type Role = "bare server" | "our server" | "bare client" | "our client" | "ts-proto client, our channel";
const noInfo = (): never => {
  throw new Error("the bench makes unary calls only");
};

/** Listens, and gives the port. */
async function startServer(role: Role): Promise<number> {
  if (role === "bare server") {
    const server = new GrpcServer();
    const methods: UntypedServiceImplementation = {
      echo: (call: { request: { text: string } }, callback: (error: null, response: object) => void) =>
        callback(null, answer(call.request.text)),
    };
    server.addService({ echo: FixtureService.definition.echo }, methods);
    return new Promise((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }
  const handlers = {
    echo: ({ text: given }: { text: string }) => answer(given),
    inside: noInfo,
    count: noInfo,
    collect: noInfo,
    chat: noInfo,
    ledger: noInfo,
  };
  const config = readServerConfig(createEnvReader({}));
  const server = await serve({
    services: [implement(FixtureService, handlers)],
    config,
    logger: createLogger({ name: "bench" }),
  });
  return Number(server.address.split(":").at(-1));
}

/** A function that makes one call. */
function startClient(role: Role, port: number): () => Promise<unknown> {
  const resolver = createStaticResolver({ fixture: [createEndpoint("127.0.0.1", port)] });
  const mesh = createMesh({ registryUrl: "http://127.0.0.1:8500" }, { discovery: { resolver, registrar: { register: noInfo } } });
  if (role === "our client") {
    const client = mesh.client(FixtureService);
    return () => client.echo({ text });
  }
  const options = role === "bare client" ? {} : { channelOverride: mesh.channel("fixture") };
  const client = new GrpcClient(`127.0.0.1:${port}`, credentials.createInsecure(), options);
  const { path, requestSerialize, responseDeserialize } = FixtureService.definition.echo;
  // As the generated client does it; a deadline, since ours has one.
  return () =>
    new Promise((resolve, reject) => {
      const request = { text, delayMs: 0, code: 0, message: "", padBytes: 0, id: "", crash: false };
      const options = { deadline: Date.now() + 5_000 };
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        options,
        (error, response) => {
          if (error === null) resolve(response);
          else reject(error);
        },
      );
    });
}

interface Window {
  readonly calls: number;
  readonly seconds: number;
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Makes calls for a time, so many at once. */
async function runWindow(callOnce: () => Promise<unknown>, ms: number, parallel: number): Promise<Window> {
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const loop = async (): Promise<void> => {
    for (;;) {
      const atMs = performance.now();
      if (atMs - startedMs >= ms) return;
      await callOnce();
      latencies.push(performance.now() - atMs);
    }
  };
  await Promise.all(Array.from({ length: parallel }, loop));
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const at = (ratio: number): number => latencies[Math.floor(latencies.length * ratio)] ?? 0;
  return { calls: latencies.length, seconds, cpuUs: user + system, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** A child: says its port when it serves, answers `cpu` and `run`. */
async function beChild(role: Role, port: number): Promise<void> {
  const isServer = role.endsWith("server");
  const callOnce = isServer ? undefined : startClient(role, port);
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

async function start(role: Role, port = 0): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const child = fork(import.meta.filename, ["--role", role, "--port", String(port)], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  return { child, port: (await ask<{ port: number }>(child)).port };
}

const pairs = [
  ["bare client", "bare server"],
  ["our client", "bare server"],
  ["ts-proto client, our channel", "bare server"],
  ["bare client", "our server"],
  ["our client", "our server"],
] as const satisfies readonly (readonly [Role, Role])[];

interface Row extends Window {
  readonly serverUs: number;
}

async function main(ms: number, windows: number, parallel: number): Promise<void> {
  const servers = { "bare server": await start("bare server"), "our server": await start("our server") };
  const clients = await Promise.all(pairs.map(([client, server]) => start(client, servers[server].port)));
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
  print(rows, { ms, windows, parallel });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function print(
  rows: readonly Row[][],
  { ms, windows, parallel }: { readonly ms: number; readonly windows: number; readonly parallel: number },
): void {
  const of = (index: number, value: (row: Row) => number): number => median((rows[index] ?? []).map(value));
  const clientUs = (index: number): number => of(index, (row) => row.cpuUs / row.calls);
  const serverUs = (index: number): number => of(index, (row) => row.serverUs / row.calls);
  console.log(
    `Node ${process.version}, ${availableParallelism()} cores, ${windows} windows of ${ms} ms each, ${parallel} calls in flight, 100 bytes\n`,
  );
  console.log("| client | server | client CPU us/call | ratio | server CPU us/call | ratio | calls/s | p50 ms | p99 ms |");
  console.log("|---|---|---|---|---|---|---|---|---|");
  for (const [index, [client, server]] of pairs.entries()) {
    const cells = [
      clientUs(index).toFixed(1),
      (clientUs(index) / clientUs(0)).toFixed(2),
      serverUs(index).toFixed(1),
      (serverUs(index) / serverUs(0)).toFixed(2),
      of(index, (row) => row.calls / row.seconds).toFixed(0),
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
    calls: { type: "string", default: "64" },
    role: { type: "string" },
    port: { type: "string", default: "0" },
  },
});
if (values.role === undefined) await main(Number(values.seconds) * 1_000, Number(values.windows), Number(values.calls));
else await beChild(values.role as Role, Number(values.port));
