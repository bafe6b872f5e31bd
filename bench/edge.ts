/**
 * What a request costs at the edge: unary REST and Connect JSON, against a stock connect-node proxy, a relay that does
 * nothing but the two hops, and a bare node:http server, in one run. Registry, fixture, edge and peers are processes of
 * their own; this one makes the load. All of them share the machine, so the CPU time of the gateway's process is the
 * figure to compare; throughput is what is left of the machine.
 *
 *   node bench/edge.ts [--seconds 2] [--rounds 3] [--connections 64]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, type Socket, connect } from "node:net";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport } from "@connectrpc/connect-node";
import { packageProgram } from "@protoloom/cli";
import { FixtureService } from "@protoloom/fixture";
import { startMesh } from "@protoloom/testing";

const text = "x".repeat(150);
const body = JSON.stringify({ text });

/** One kind of request, as its bytes. */
interface Workload {
  readonly name: string;
  readonly request: Buffer;
}

const toRequest = (line: string, content = ""): Buffer =>
  Buffer.from(
    `${line} HTTP/1.1\r\nhost: localhost\r\n${content === "" ? "" : `content-type: application/json\r\ncontent-length: ${content.length}\r\n`}\r\n${content}`,
  );
const get: Workload = { name: "REST GET", request: toRequest(`GET /v1/fixture/${text}`) };
const post: Workload = { name: "REST POST", request: toRequest("POST /v1/fixture:echo", body) };
const rpc: Workload = { name: "Connect JSON", request: toRequest("POST /fixture.v1.FixtureService/Echo", body) };

/** A constant answer of the size of the fixture's, without an upstream: the floor of node:http. */
async function serveBare(): Promise<number> {
  const answer = JSON.stringify({ text, instance: "127.0.0.1:50051", remainingMs: "5000" });
  const server = createServer((request, response) => {
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/json", "content-length": answer.length });
      response.end(answer);
    });
    request.resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** The least that a gateway on Node can do: node:http in front, one gRPC call on a node:http2 session behind, nothing read or built. */
async function serveRelay(upstream: string): Promise<number> {
  const session = connectHttp2(`http://${upstream}`);
  const message = Buffer.concat([
    Buffer.from([0, 0, 0, 0, text.length + 3, 0x0a, 0x80 | (text.length & 0x7f), text.length >> 7]),
    Buffer.from(text),
  ]);
  const headers = {
    ":method": "POST",
    ":path": "/fixture.v1.FixtureService/Echo",
    "content-type": "application/grpc",
    te: "trailers",
  };
  const server = createServer((request, response) => {
    request.resume();
    const stream = session.request(headers);
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const answer = JSON.stringify({ text, instance: upstream, remainingMs: "5000" });
      response.writeHead(chunks.length > 0 ? 200 : 502, { "content-type": "application/json", "content-length": answer.length });
      response.end(answer);
    });
    stream.end(message);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** What the documentation of connect-node gives: a typed handler that calls a typed gRPC client. */
async function serveConnect(upstream: string): Promise<number> {
  const client = createClient(FixtureService.descriptor, createGrpcTransport({ baseUrl: `http://${upstream}` }));
  const echo = client["echo"] as unknown as (request: unknown) => unknown;
  const handler = connectNodeAdapter({
    routes: (router) => {
      router.service(FixtureService.descriptor, { echo: (request: unknown) => echo(request) } as never);
    },
  });
  const server = createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A gateway under load. */
interface Target {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly workloads: readonly Workload[];
}

interface Window {
  readonly requests: number;
  readonly cpuUs: number;
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
}

/** CPU time of a process so far, in microseconds (proc(5): utime and stime, in ticks of 10 ms). */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

/** Keeps one request open on each connection for some seconds. Throws at the first answer that is not 200. */
async function run(target: Target, { request }: Workload, connections: number, seconds: number): Promise<Window> {
  const sockets: Socket[] = [];
  for (let count = 0; count < connections; count += 1) {
    const socket = connect(target.port, "127.0.0.1").setNoDelay(true);
    await once(socket, "connect");
    sockets.push(socket);
  }
  const latenciesMs: number[] = [];
  const startedMs = performance.now();
  const startedCpuUs = cpuUs(target.pid);
  const endMs = startedMs + seconds * 1_000;
  await Promise.all(sockets.map((socket) => keepAsking(socket, request, { endMs, latenciesMs })));
  const elapsed = (performance.now() - startedMs) / 1_000;
  const used = cpuUs(target.pid) - startedCpuUs;
  for (const socket of sockets) socket.destroy();
  return { requests: latenciesMs.length, cpuUs: used, seconds: elapsed, latenciesMs };
}

function keepAsking(
  socket: Socket,
  request: Buffer,
  { endMs, latenciesMs }: { readonly endMs: number; readonly latenciesMs: number[] },
): Promise<void> {
  return new Promise((resolve, reject) => {
    let sentMs = 0;
    let received = "";
    const ask = (): void => {
      sentMs = performance.now();
      socket.write(request);
    };
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      const head = received.indexOf("\r\n\r\n");
      if (head < 0) return;
      if (!received.startsWith("HTTP/1.1 200")) {
        reject(new Error(received.slice(0, 500)));
        return;
      }
      const length = Number(/content-length: (\d+)/i.exec(received.slice(0, head))?.[1] ?? Number.NaN);
      const isComplete = Number.isNaN(length) ? received.endsWith("0\r\n\r\n") : received.length >= head + 4 + length;
      if (!isComplete) return;
      received = "";
      const nowMs = performance.now();
      latenciesMs.push(nowMs - sentMs);
      if (nowMs < endMs) ask();
      else resolve();
    });
    ask();
  });
}

/** Starts this file in another role; it prints its port. */
async function startPeer(role: string, upstream: string): Promise<{ readonly process: ChildProcess; readonly port: number }> {
  const child = spawn(process.execPath, [import.meta.filename, "--role", role, "--upstream", upstream], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { process: child, port: Number(line.toString()) };
}

/** Starts the edge as it runs, but for its log lines, which go to /dev/null. */
async function startEdge(registryUrl: string): Promise<{ readonly process: ChildProcess; readonly port: number }> {
  const [program = "", ...args] = packageProgram("@protoloom/edge");
  const reserved = createServer().listen(0, "127.0.0.1");
  await once(reserved, "listening");
  const { port } = reserved.address() as AddressInfo;
  reserved.close();
  await once(reserved, "close");
  const env = { ...process.env, CONSUL_HTTP_ADDR: registryUrl, MESH_EDGE_PORT: String(port) };
  const child = spawn(program, args, { env, stdio: ["ignore", "ignore", "inherit"] });
  const deadlineMs = performance.now() + 15_000;
  while (performance.now() < deadlineMs) {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/fixture/ready`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.status === 200) return { process: child, port };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill("SIGKILL");
  throw new Error("the edge did not serve the fixture within 15 s");
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function summarise(target: string, workload: string, windows: readonly Window[]): Record<string, string | number> {
  const sum = (pick: (window: Window) => number): number => windows.reduce((total, window) => total + pick(window), 0);
  const latenciesMs = windows.flatMap((window) => window.latenciesMs).sort((one, other) => one - other);
  return {
    gateway: target,
    request: workload,
    "CPU us/request": Math.round((sum((window) => window.cpuUs) / sum((window) => window.requests)) * 10) / 10,
    "requests/s": Math.round(sum((window) => window.requests) / sum((window) => window.seconds)),
    "p50 ms": Math.round(quantile(latenciesMs, 0.5) * 10) / 10,
    "p99 ms": Math.round(quantile(latenciesMs, 0.99) * 10) / 10,
  };
}

async function measure(options: {
  readonly seconds: number;
  readonly rounds: number;
  readonly connections: number;
}): Promise<void> {
  await using mesh = await startMesh({
    edge: false,
    env: { MESH_LOG_LEVEL: "warn" },
    services: [
      { name: "fixture", command: [process.execPath, new URL("../test/fixture/src/main.ts", import.meta.url).pathname] },
    ],
  });
  const upstream = mesh.instance("fixture").address;
  await using peers = new AsyncDisposableStack();
  const own = (started: { readonly process: ChildProcess; readonly port: number }): { port: number; pid: number } => {
    peers.defer(() => void started.process.kill("SIGKILL"));
    return { port: started.port, pid: started.process.pid ?? 0 };
  };
  const targets: Target[] = [
    { name: "protoloom edge", ...own(await startEdge(mesh.registryUrl)), workloads: [get, post, rpc] },
    { name: "connect-node proxy", ...own(await startPeer("connect", upstream)), workloads: [rpc] },
    { name: "bare relay", ...own(await startPeer("relay", upstream)), workloads: [get, rpc] },
    { name: "bare node:http", ...own(await startPeer("bare", upstream)), workloads: [get, rpc] },
  ];
  const pairs = targets.flatMap((target) => target.workloads.map((workload) => ({ target, workload, windows: [] as Window[] })));
  for (const { target, workload } of pairs) await run(target, workload, options.connections, 1);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const { target, workload, windows } of pairs)
      windows.push(await run(target, workload, options.connections, options.seconds));
  }
  const rows = pairs.map(({ target, workload, windows }) => summarise(target.name, workload.name, windows));
  const floor = Number(rows.at(-1)?.["CPU us/request"]);
  console.log(
    `${options.rounds} windows of ${options.seconds} s each, ${options.connections} connections, ${availableParallelism()} cores, Node ${process.versions.node}`,
  );
  console.table(rows.map((row) => ({ ...row, "x bare": Math.round((Number(row["CPU us/request"]) / floor) * 100) / 100 })));
}

const { values } = parseArgs({
  options: {
    role: { type: "string", default: "measure" },
    upstream: { type: "string", default: "" },
    seconds: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "64" },
  },
});
if (values.role === "bare") console.log(await serveBare());
else if (values.role === "relay") console.log(await serveRelay(values.upstream));
else if (values.role === "connect") console.log(await serveConnect(values.upstream));
else await measure({ seconds: Number(values.seconds), rounds: Number(values.rounds), connections: Number(values.connections) });
