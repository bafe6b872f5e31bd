import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import { eventually } from "@protoloom/testing";
import { FixtureService } from "@protoloom/fixture";
import { describe, expect, test } from "vitest";
import { Code } from "../base/code.ts";
import { createEndpoint } from "../base/endpoint.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { createStaticResolver } from "../discovery/static-resolver.ts";
import { createTransport } from "./create-transport.ts";
import { startFixtureServer } from "./test-servers/fixture-server.ts";
import { startServerProcess } from "./test-servers/server-process.ts";
import { answer, frame, startRawServer, startSilentServer } from "./test-servers/raw-server.ts";
import type { TransportSettings } from "./transport-settings.ts";
import type { ByteCall, Transport } from "./transport.ts";

const call = (timeoutMs = 5_000): ByteCall => ({
  path: "/raw.v1.Raw/Call",
  metadata: {},
  deadline: performance.now() + timeoutMs,
});
const ask = Buffer.from("ask");
const echo = (stream: ServerHttp2Stream): void =>
  void stream.on("data", () => {}).on("end", () => answer(stream, frame(Buffer.from("answer"))));

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  return port;
}

function transportTo(endpoints: readonly Endpoint[], settings: Partial<TransportSettings> = {}): Transport {
  return createTransport({ resolver: createStaticResolver({ raw: endpoints }), settings });
}

describe("a call that was never sent", () => {
  test("is made again when its stream is refused", async () => {
    let refused = 0;
    await using server = await startRawServer((stream) => {
      if (refused++ < 1) stream.close(7);
      else echo(stream);
    });
    await using transport = transportTo([server.endpoint]);
    const { message } = await transport.service("raw").unary(call(), ask);
    expect(Buffer.from(message).toString()).toBe("answer");
    expect(refused).toBe(2);
  });

  test.each(["unary", "stream"] as const)(
    "is made again after GOAWAY: of 100 %s calls none fails, and each is executed once",
    async (kind) => {
      const executed = new Map<string, number>();
      const execute = (stream: ServerHttp2Stream): void => {
        const parts: Buffer[] = [];
        stream.on("data", (part: Buffer) => parts.push(part));
        stream.on("end", () => {
          const id = Buffer.concat(parts).subarray(5).toString();
          executed.set(id, (executed.get(id) ?? 0) + 1);
          answer(stream, frame(Buffer.from(id)));
        });
      };
      const held: ServerHttp2Stream[] = [];
      await using leaving = await startRawServer((stream) => {
        held.push(stream);
        // Half of the calls are beyond the last stream that it takes.
        if (held.length === 100) {
          const last = held[49]?.id ?? 0;
          stream.session?.goaway(0, last);
          for (const taken of held.slice(0, 50)) execute(taken);
        }
      });
      await using staying = await startRawServer(execute);
      const resolver = createStaticResolver({ raw: [leaving.endpoint] });
      await using transport = createTransport({ resolver });
      const service = transport.service("raw");
      const one = async (id: string): Promise<string> => {
        if (kind === "unary") return Buffer.from((await service.unary(call(), Buffer.from(id))).message).toString();
        const stream = service.stream(call());
        await stream.send(Buffer.from(id));
        stream.end();
        let text = "";
        for await (const message of stream.messages) text += Buffer.from(message).toString();
        return text;
      };
      const ids = Array.from({ length: 100 }, (_, index) => `id-${index}`);
      const answers = Promise.all(ids.map(one));
      await eventually(() => held.length >= 50);
      resolver.set("raw", [leaving.endpoint, staying.endpoint]);
      // Those that are tried there again find the leaving server anew: let it be gone from the set.
      resolver.set("raw", [staying.endpoint]);
      expect(await answers).toEqual(ids);
      expect([...executed.values()]).toEqual(ids.map(() => 1));
    },
  );

  test("fails with UNAVAILABLE when no endpoint can be reached for 2 s, or for its deadline", async () => {
    await using transport = transportTo([createEndpoint("127.0.0.1", 1)], { repickLimitMs: 300 });
    const startedMs = performance.now();
    await expect(transport.service("raw").unary(call(), ask)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      reason: "CONNECTION_FAILED",
    });
    expect(performance.now() - startedMs).toBeGreaterThan(250);
    await expect(transport.service("raw").unary(call(60), ask)).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
  });

  test("fails with NO_INSTANCE when the service has none", async () => {
    await using transport = transportTo([], { repickLimitMs: 100 });
    await expect(transport.service("raw").unary(call(), ask)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      reason: "NO_INSTANCE",
    });
    await expect(transport.service("unheard-of").unary(call(), ask)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      reason: "NO_INSTANCE",
    });
  });

  test("waits for the first instance to come up", async () => {
    await using server = await startRawServer(echo);
    const resolver = createStaticResolver();
    await using transport = createTransport({ resolver });
    const answered = transport.service("raw").unary(call(), ask);
    setImmediate(() => resolver.set("raw", [server.endpoint]));
    expect((await answered).endpoint.key).toBe(server.endpoint.key);
  });

  test("goes to another endpoint when the registry lists what is no address", async () => {
    await using server = await startRawServer(echo);
    await using transport = transportTo([
      createEndpoint("127.0.0.1", 700_000),
      createEndpoint("no such host", 1),
      server.endpoint,
    ]);
    for (let index = 0; index < 10; index++)
      expect((await transport.service("raw").unary(call(), ask)).endpoint.key).toBe(server.endpoint.key);
  });

  test.each([
    ["HTTP/1.1", "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"],
    ["frames that are malformed", Buffer.from("0000ff04ff7fffffff0000000000", "hex")],
    ["a SETTINGS frame and garbage", Buffer.concat([Buffer.from("000000040000000000", "hex"), Buffer.alloc(100, 0xff)])],
  ])("goes to another endpoint when a peer speaks %s", async (_name, bytes) => {
    const stranger = createTcpServer((socket) => {
      socket.on("error", () => {}); // Clients that break off are part of this test.
      socket.once("data", () => socket.write(bytes));
    });
    stranger.listen(0, "127.0.0.1");
    await once(stranger, "listening");
    await using server = await startRawServer(echo);
    await using transport = transportTo([createEndpoint("127.0.0.1", (stranger.address() as AddressInfo).port), server.endpoint]);
    const service = transport.service("raw");
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => service.unary(call(), ask)));
    // What had been sent when the garbage came may have been executed: that call fails, and is not made again.
    const failed = outcomes.filter(({ status }) => status === "rejected");
    for (const outcome of failed) expect(outcome).toMatchObject({ reason: { code: Code.UNAVAILABLE } });
    expect((await service.unary(call(), ask)).endpoint.key).toBe(server.endpoint.key);
    stranger.close();
  });

  test("goes to another endpoint when a peer accepts and never speaks", async () => {
    await using silent = await startSilentServer();
    await using server = await startRawServer(echo);
    await using transport = transportTo([silent.endpoint, server.endpoint], { connectTimeoutMs: 150 });
    const calls = await Promise.all(Array.from({ length: 20 }, () => transport.service("raw").unary(call(), ask)));
    expect(calls.every(({ endpoint }) => endpoint.key === server.endpoint.key)).toBe(true);
    // One for all calls, and one that is tried after it without any.
    expect(silent.accepted).toBeLessThanOrEqual(2);
  });
});

describe("a connection", () => {
  test("to an instance that is killed loses its calls in flight, and no other", async () => {
    await using doomed = await startServerProcess();
    await using server = await startRawServer(echo);
    await using transport = transportTo([doomed.endpoint, server.endpoint]);
    const service = transport.service("raw");
    let inFlight = 0;
    let lost = 0;
    let inFlightAtKill = 0;
    let answered = 0;
    let stop = false;
    const loop = async (): Promise<void> => {
      while (!stop) {
        inFlight++;
        try {
          await service.unary(call(), ask);
          answered++;
        } catch (error) {
          expect(error).toMatchObject({ code: Code.UNAVAILABLE });
          lost++;
        } finally {
          inFlight--;
        }
      }
    };
    const loops = Array.from({ length: 20 }, loop);
    await eventually(() => answered > 500);
    inFlightAtKill = inFlight;
    doomed.signal("SIGKILL");
    const before = answered;
    await eventually(() => answered > before + 2_000);
    stop = true;
    await Promise.all(loops);
    expect(lost).toBeLessThanOrEqual(inFlightAtKill);
  });

  test("to a server that shuts down gracefully loses no call", async () => {
    using leaving = await startFixtureServer();
    using staying = await startFixtureServer();
    const resolver = createStaticResolver({ fixture: [leaving.endpoint, staying.endpoint] });
    await using transport = createTransport({ resolver });
    const service = transport.service("fixture");
    const { path, requestSerialize } = FixtureService.definition.echo;
    let answered = 0;
    let left = 0;
    let stop = false;
    const loop = async (number: number): Promise<void> => {
      for (let index = 0; !stop; index++) {
        const request = requestSerialize(FixtureService.requests.echo({ id: `${number}-${index}`, delayMs: index % 5 }));
        const { endpoint } = await service.unary({ path, metadata: {}, deadline: performance.now() + 5_000 }, request);
        answered++;
        if (endpoint.key === leaving.endpoint.key) left++;
      }
    };
    const loops = Promise.all(Array.from({ length: 20 }, (_, number) => loop(number)));
    await eventually(() => answered > 300);
    // Its port is closed before the set changes: calls find that out by themselves.
    await new Promise((resolve) => leaving.server.tryShutdown(resolve));
    const before = { answered, left };
    await eventually(() => answered > before.answered + 300);
    stop = true;
    await loops;
    expect(left).toBe(before.left);
    const executions = [...leaving.ledger.values(), ...staying.ledger.values()];
    expect(executions.reduce((sum, count) => sum + count, 0)).toBe(answered);
  });

  test("to a peer that hangs is given up after the silence and the timeout of its PING", async () => {
    await using server = await startServerProcess();
    const settings = { keepaliveAfterMs: 200, keepaliveSuspectMs: 100, keepaliveTimeoutMs: 200 };
    await using transport = transportTo([server.endpoint], settings);
    const service = transport.service("raw");
    await service.unary(call(), ask);
    server.signal("SIGSTOP");
    const startedMs = performance.now();
    await expect(service.unary(call(), ask)).rejects.toMatchObject({ code: Code.UNAVAILABLE, reason: "CONNECTION_FAILED" });
    expect(performance.now() - startedMs).toBeGreaterThan(350);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    server.signal("SIGCONT");
    await eventually(() => service.unary(call(), ask));
  });

  test("to a peer that hangs is avoided within a second, and its calls are answered when it goes on soon", async () => {
    await using stopped = await startServerProcess();
    await using server = await startRawServer(echo);
    await using transport = transportTo([stopped.endpoint, server.endpoint]);
    const service = transport.service("raw");
    const callThere = async (): Promise<boolean> => (await service.unary(call(), ask)).endpoint.key === stopped.endpoint.key;
    await eventually(callThere);
    stopped.signal("SIGSTOP");
    const startedMs = performance.now();
    const held: Promise<unknown>[] = [];
    let inFlightThere = 0;
    // Calls that go to the stopped one stay; a second later none does.
    while (performance.now() - startedMs < 1_000) {
      const one = service.unary(call(), ask);
      inFlightThere++;
      void one.then(() => inFlightThere--);
      held.push(one);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await eventually(() => inFlightThere < 50);
    const before = inFlightThere;
    expect(before).toBeGreaterThan(0);
    for (let index = 0; index < 300; index++) expect((await service.unary(call(), ask)).endpoint.key).toBe(server.endpoint.key);
    expect(inFlightThere).toBe(before);
    stopped.signal("SIGCONT");
    await Promise.all(held);
    await eventually(callThere, { timeoutMs: 1_000 });
  });

  test("to a peer that hangs for good is given up after 2 s, and made again without a call when it goes on", async () => {
    await using stopped = await startServerProcess();
    await using server = await startRawServer(echo);
    await using transport = transportTo([stopped.endpoint, server.endpoint]);
    const service = transport.service("raw");
    const callThere = async (): Promise<boolean> => (await service.unary(call(), ask)).endpoint.key === stopped.endpoint.key;
    await eventually(callThere);
    stopped.signal("SIGSTOP");
    const startedMs = performance.now();
    const error = await (async () => {
      for (;;) {
        const outcome = await Promise.race([
          service.unary(call(), ask).catch((failure: unknown) => failure),
          new Promise((resolve) => setTimeout(resolve, 3_000, "in flight for 3 s")),
        ]);
        if (outcome instanceof Error || typeof outcome === "string") return outcome;
      }
    })();
    expect(error).toMatchObject({ code: Code.UNAVAILABLE, reason: "CONNECTION_FAILED" });
    expect(performance.now() - startedMs).toBeGreaterThan(1_900);
    // Its port still accepts, by the kernel: nobody waits for that.
    for (let index = 0; index < 200; index++) {
      const beganMs = performance.now();
      expect((await service.unary(call(), ask)).endpoint.key).toBe(server.endpoint.key);
      expect(performance.now() - beganMs).toBeLessThan(400);
    }
    stopped.signal("SIGCONT");
    await eventually(callThere, { timeoutMs: 3_000 });
  });

  test("to an endpoint that failed before it came into the set is made without a call, and it then gets its share", async () => {
    const port = await freePort();
    const early = createEndpoint("127.0.0.1", port);
    await using server = await startRawServer(echo);
    const resolver = createStaticResolver({ raw: [server.endpoint] });
    await using transport = createTransport({ resolver, settings: { repickLimitMs: 50 } });
    await expect(transport.endpoint(early).unary(call(), ask)).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    resolver.set("raw", [server.endpoint, early]);
    const service = transport.service("raw");
    await service.unary(call(), ask);
    await using late = await startRawServer(echo, { port });
    await eventually(() => late.sessions.length > 0);
    await eventually(async () => (await service.unary(call(), ask)).endpoint.key === early.key);
  });

  test("stays open while its peer answers PINGs, however long the call takes", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await startRawServer((stream) => held.push(stream));
    await using transport = transportTo([server.endpoint], { keepaliveAfterMs: 30, keepaliveTimeoutMs: 500 });
    const answered = transport.service("raw").unary(call(), ask);
    await eventually(() => held.length === 1);
    let pings = 0;
    server.sessions[0]?.on("ping", () => pings++);
    await eventually(() => pings >= 3);
    answer(held[0] as ServerHttp2Stream, frame(Buffer.from("answer")));
    expect(Buffer.from((await answered).message).toString()).toBe("answer");
  });

  test("sends PINGs rarely to a peer that has complained of too many", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await startRawServer((stream) => held.push(stream));
    await using transport = transportTo([server.endpoint], { keepaliveAfterMs: 30, keepaliveTimeoutMs: 500 });
    const service = transport.service("raw");
    const first = service.unary(call(), ask).catch((error: unknown) => error);
    await eventually(() => held.length === 1);
    server.sessions[0]?.goaway(11, 1, Buffer.from("too_many_pings"));
    expect(await first).toMatchObject({ code: Code.UNAVAILABLE });
    const second = service.unary(call(), ask);
    await eventually(() => held.length === 2);
    let pings = 0;
    server.sessions[1]?.on("ping", () => pings++);
    await new Promise((resolve) => setTimeout(resolve, 150)); // The absence of PINGs takes time to see.
    expect(pings).toBe(0);
    answer(held[1] as ServerHttp2Stream, frame(Buffer.from("answer")));
    await second;
  });

  test("takes no more calls than its peer allows: a further one is opened", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await startRawServer((stream) => held.push(stream), { settings: { maxConcurrentStreams: 3 } });
    await using transport = transportTo([server.endpoint], { maxConnectionsPerEndpoint: 2 });
    const calls = Array.from({ length: 10 }, () => transport.service("raw").unary(call(), ask));
    await eventually(() => held.length === 6);
    expect(server.sessions).toHaveLength(2);
    let answered = 0;
    while (answered < 10) {
      await eventually(() => held.length > answered);
      for (; answered < held.length; answered++) answer(held[answered] as ServerHttp2Stream, frame(Buffer.from("answer")));
    }
    expect(await Promise.all(calls)).toHaveLength(10);
    expect(server.sessions).toHaveLength(2);
  });

  test("whose streams wait for room gets no further calls: another is opened, until they wait no more", async () => {
    const held: ServerHttp2Stream[] = [];
    let servedBy: ServerHttp2Stream["session"];
    await using server = await startRawServer((stream, headers) => {
      if (headers["x-hold"] === "1") held.push(stream);
      else {
        servedBy = stream.session;
        echo(stream);
      }
    });
    await using transport = transportTo([server.endpoint], { slowAfterMs: 20 });
    const unary = async (): Promise<ServerHttp2Stream["session"]> => {
      await transport.service("raw").unary(call(), ask);
      return servedBy;
    };
    const first = await unary();
    const upload = transport.service("raw").stream({ ...call(60_000), metadata: { "x-hold": "1" } });
    // Nobody reads it: its window is 64 KiB.
    const sent = Promise.all(Array.from({ length: 10 }, () => upload.send(Buffer.alloc(100_000))));
    await eventually(async () => (await unary()) !== first);
    for (let count = 0; count < 20; count++) expect(await unary()).not.toBe(first);
    expect(server.sessions).toHaveLength(2);
    held[0]?.resume();
    await sent;
    expect(await unary()).toBe(first);
    upload.cancel();
  });

  test("whose stream has sent all it has, however large, stays the only one", async () => {
    let isRead = false;
    await using server = await startRawServer((stream, headers) => {
      if (headers["x-hold"] === "1") stream.resume().on("end", () => (isRead = true));
      else echo(stream);
    });
    await using transport = transportTo([server.endpoint], { slowAfterMs: 0 });
    const upload = transport.service("raw").stream({ ...call(60_000), metadata: { "x-hold": "1" } });
    const sent = upload.send(Buffer.alloc(300_000));
    upload.end();
    await sent;
    await eventually(() => isRead);
    for (let count = 0; count < 10; count++) await transport.service("raw").unary(call(), ask);
    expect(server.sessions).toHaveLength(1);
    upload.cancel();
  });

  test("whose upload flows stays the only one", async () => {
    let read = 0;
    await using server = await startRawServer((stream, headers) => {
      if (headers["x-hold"] === "1") stream.on("data", (part: Buffer) => (read += part.length));
      else echo(stream);
    });
    await using transport = transportTo([server.endpoint], { slowAfterMs: 5_000 });
    const upload = transport.service("raw").stream({ ...call(60_000), metadata: { "x-hold": "1" } });
    for (let count = 0; count < 50; count++) {
      await upload.send(Buffer.alloc(100_000));
      await transport.service("raw").unary(call(), ask);
    }
    await eventually(() => read > 5_000_000);
    expect(server.sessions).toHaveLength(1);
    upload.cancel();
  });

  test("is replaced at its age, and no call fails", async () => {
    await using server = await startRawServer(echo);
    await using transport = transportTo([server.endpoint], { maxConnectionAgeMs: 50, maxConnectionAgeJitter: 0.1 });
    await eventually(async () => {
      await Promise.all(Array.from({ length: 10 }, () => transport.service("raw").unary(call(), ask)));
      return server.sessions.length >= 4;
    });
    await eventually(() => server.sessions.filter(({ destroyed }) => !destroyed).length <= 1);
  });

  test("closes when its endpoint leaves the set and its calls have ended", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await startRawServer((stream) => held.push(stream));
    const resolver = createStaticResolver({ raw: [server.endpoint] });
    await using transport = createTransport({ resolver });
    const answered = transport.service("raw").unary(call(), ask);
    await eventually(() => held.length === 1);
    resolver.set("raw", []);
    answer(held[0] as ServerHttp2Stream, frame(Buffer.from("answer")));
    expect(Buffer.from((await answered).message).toString()).toBe("answer");
    await eventually(() => server.sessions[0]?.destroyed);
  });

  test("is closed after a while when its endpoint is in no set", async () => {
    await using server = await startRawServer(echo);
    await using transport = transportTo([], { idleTimeoutMs: 50 });
    await transport.endpoint(server.endpoint).unary(call(), ask);
    await eventually(() => server.sessions[0]?.destroyed);
    await transport.endpoint(server.endpoint).unary(call(), ask);
    expect(server.sessions).toHaveLength(2);
  });

  test("that breaks fails its calls with UNAVAILABLE, and the next call gets another", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await startRawServer((stream) => (held.length === 0 ? held.push(stream) : echo(stream)));
    await using transport = transportTo([server.endpoint]);
    const service = transport.service("raw");
    const broken = service.unary(call(), ask);
    await eventually(() => held.length === 1);
    server.sessions[0]?.destroy();
    await expect(broken).rejects.toMatchObject({ code: Code.UNAVAILABLE, reason: "CONNECTION_FAILED" });
    expect(Buffer.from((await service.unary(call(), ask)).message).toString()).toBe("answer");
  });

  test("is not stormed by a peer that dies at every call", async () => {
    await using server = await startRawServer((stream) => stream.session?.destroy());
    await using transport = transportTo([server.endpoint], { reconnectBaseMs: 40, reconnectMaxMs: 40 });
    const until = performance.now() + 400;
    let calls = 0;
    while (performance.now() < until) {
      await transport
        .service("raw")
        .unary(call(100), ask)
        .catch(() => {});
      calls++;
    }
    expect(calls).toBeGreaterThan(3);
    // One connection every 20 ms on average, after waits of 0 to 40 ms.
    expect(server.sessions.length).toBeLessThan(60);
  });

  test("that the transport closes cancels its calls, and later ones", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await startRawServer((stream) => held.push(stream));
    const transport = transportTo([server.endpoint]);
    const service = transport.service("raw");
    const running = service.unary(call(), ask);
    await eventually(() => held.length === 1);
    const stopped = once(held[0] as ServerHttp2Stream, "close");
    await transport[Symbol.asyncDispose]();
    await expect(running).rejects.toMatchObject({ code: Code.CANCELLED });
    await expect(service.unary(call(), ask)).rejects.toMatchObject({ code: Code.CANCELLED });
    await stopped;
  });
});
