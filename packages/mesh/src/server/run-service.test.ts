import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { FixtureService } from "@protoloom/fixture";
import { eventually } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

const main = resolve(import.meta.dirname, "../../../../test/fixture/src/main.ts");
const { echo } = FixtureService.definition;

/** A registry that takes every registration and beat. */
const registry = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { "content-type": "application/json", "x-consul-index": "1" }).end("[]");
});
let registryUrl: string;

beforeAll(async () => {
  await new Promise<void>((done) => registry.listen(0, "127.0.0.1", () => done()));
  registryUrl = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
});

afterAll(() => {
  registry.close().closeAllConnections();
});

interface Process {
  readonly child: ChildProcess;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  stdout(): string;
  stderr(): string;
  lines(): readonly Record<string, unknown>[];
}

function run(args: readonly string[], env: Record<string, string> = {}): Process {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env["PATH"], CONSUL_HTTP_ADDR: registryUrl, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const out = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (out.stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (out.stderr += String(chunk)));
  return {
    child,
    exited: new Promise((done) => child.once("close", (code, signal) => done({ code, signal }))),
    stdout: () => out.stdout,
    stderr: () => out.stderr,
    lines: () =>
      out.stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

/** Runs the fixture until it is ready. */
async function start(env: Record<string, string> = {}): Promise<Process & { readonly address: string }> {
  const folder = mkdtempSync(join(tmpdir(), "service-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "ready.json");
  const service = run([main], { MESH_READY_FILE: path, MESH_DRAIN_NOTICE_MS: "0", ...env });
  await eventually(() => existsSync(path), { timeoutMs: 9_000 });
  const { address } = JSON.parse(readFileSync(path, "utf8")) as { address: string };
  return { ...service, address };
}

function connect(address: string): Client {
  const client = new Client(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  return client;
}

function call(client: Client, partial: Parameters<typeof FixtureService.requests.echo>[0]): Promise<ServiceError | null> {
  return new Promise((done) => {
    const request = FixtureService.requests.echo(partial);
    client.makeUnaryRequest(echo.path, echo.requestSerialize, echo.responseDeserialize, request, done);
  });
}

/** A process of `runService` whose start is `body`. */
function script(body: string): readonly string[] {
  const index = resolve(import.meta.dirname, "../index.ts");
  const text = `import { runService, serve, readServerConfig } from ${JSON.stringify(index)};
    await runService({ name: "scratch", env: process.env, configure: readServerConfig,
      async start({ config, logger, signal, resources }) { ${body} } });`;
  return ["--input-type=module-typescript", "--eval", text];
}

describe("a service process", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "drains on %s: the call in flight is answered, and it exits with 0",
    async (signal) => {
      const service = await start();
      const client = connect(service.address);
      expect(await call(client, {})).toBeNull();
      const inFlight = call(client, { delayMs: 500, id: "slow" });
      await new Promise((done) => setTimeout(done, 100));
      service.child.kill(signal);
      expect(await inFlight).toBeNull();
      expect(await service.exited).toEqual({ code: 0, signal: null });
      expect(service.stderr()).toBe("");
      const own = new Set(["listening", "ready", "call", "asked to stop", "draining", "drained", "stopped"]);
      expect(
        service
          .lines()
          .map(({ msg }) => msg)
          .filter((msg) => own.has(String(msg))),
      ).toEqual(["listening", "ready", "call", "asked to stop", "draining", "call", "drained", "stopped"]);
    },
  );

  test("ends at once on a second signal", async () => {
    const service = await start();
    const pending = call(connect(service.address), { delayMs: 4_000 });
    await new Promise((done) => setTimeout(done, 100));
    service.child.kill("SIGTERM");
    await eventually(() => service.lines().some(({ msg }) => msg === "draining"));
    const askedMs = performance.now();
    service.child.kill("SIGTERM");
    expect(await service.exited).toEqual({ code: 143, signal: null });
    expect(performance.now() - askedMs).toBeLessThan(1_000);
    expect(await pending).toMatchObject({ code: 14 });
  });

  test("says all problems of its configuration at once, in plain words, and exits with 1", async () => {
    const service = run([main], {
      MESH_LISTEN_PORT: "x",
      MESH_LISTEN_HOST: "0.0.0.0",
      MESH_LOG_LEVEL: "loud",
      CONSUL_HTTP_ADDR: "ftp://x",
    });
    expect(await service.exited).toEqual({ code: 1, signal: null });
    expect(service.stdout()).toBe("");
    expect(service.stderr()).toMatch(/^fixture: the configuration has 4 problem\(s\):\n(?: {2}(?:MESH_|CONSUL_).*\n){4}$/);
  });

  test("says which address it cannot listen on, and exits with 1", async () => {
    const { port } = registry.address() as AddressInfo;
    const service = run([main], { MESH_LISTEN_PORT: String(port) });
    expect(await service.exited).toEqual({ code: 1, signal: null });
    const [line, ...more] = service.lines();
    expect(more).toEqual([]);
    expect(line).toMatchObject({
      level: "error",
      msg: "fixture cannot start",
      err: { message: expect.stringContaining(`cannot listen on 127.0.0.1:${port}: the address is in use by another process`) },
    });
  });

  test("without a registry lives, is not ready, keeps trying, and stops when asked", async () => {
    const service = run([main], { CONSUL_HTTP_ADDR: "http://127.0.0.1:1", MESH_DRAIN_NOTICE_MS: "0" });
    const listening = await eventually(() => service.lines().find(({ msg }) => msg === "listening"), { timeoutMs: 9_000 });
    const get = async (path: string): Promise<number> => (await fetch(`http://${String(listening["admin"])}${path}`)).status;
    expect([await get("/livez"), await get("/readyz")]).toEqual([200, 503]);
    expect(await call(connect(String(listening["listen"])), {})).toBeNull();
    service.child.kill("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
  });

  test.each([
    ["an exception", `setTimeout(() => { throw new TypeError("boom"); }, 50);`, "uncaughtException"],
    ["a rejection", `void Promise.reject(new TypeError("boom"));`, "unhandledRejection"],
  ])("%s that nobody caught is one full line, and ends it with 1", async (_what, fault, origin) => {
    const service = run(script(`${fault} return serve({ services: [], config, logger });`));
    expect(await service.exited).toEqual({ code: 1, signal: null });
    expect(service.stderr()).toBe("");
    expect(service.lines().find(({ level }) => level === "error")).toMatchObject({
      origin,
      err: { type: "TypeError", message: "boom", stack: expect.stringContaining("TypeError: boom\n    at ") },
    });
  });

  test("that is stopped while it starts disposes what it has built and exits with 0", async () => {
    const service = run(
      script(`resources.defer(() => logger.info({}, "disposed"));
        setInterval(() => {}, 1000);
        signal.addEventListener("abort", () => logger.info({}, "start was told"));
        logger.info({}, "starting"); await new Promise(() => {});`),
    );
    await eventually(() => service.lines().some(({ msg }) => msg === "starting"), { timeoutMs: 9_000 });
    service.child.kill("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
    expect(service.lines().map(({ msg }) => msg)).toEqual(["starting", "asked to stop", "start was told", "disposed", "stopped"]);
  });

  test("disposes its resources after the drain, the last one first", async () => {
    const service = run(
      script(`for (const name of ["first", "second"]) resources.defer(() => logger.info({}, name));
        return serve({ services: [], config, logger });`),
      { MESH_DRAIN_NOTICE_MS: "0" },
    );
    await eventually(() => service.lines().some(({ msg }) => msg === "ready"), { timeoutMs: 9_000 });
    service.child.kill("SIGINT");
    await service.exited;
    expect(
      service
        .lines()
        .map(({ msg }) => msg)
        .slice(-4),
    ).toEqual(["drained", "second", "first", "stopped"]);
  });
});
