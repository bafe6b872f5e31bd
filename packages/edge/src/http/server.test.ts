import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { eventually } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serviceOf, testContract } from "../../test/contract.ts";
import { implementEcho, send, sendRaw, startRig, startUpstream } from "../../test/rig.ts";
import type { RawAnswer, Rig, TestRequest } from "../../test/rig.ts";

const cleanup = new AsyncDisposableStack();
let rig: Rig;
let calls = 0;
let sent = 0;
let stopped = false;
let lastMetadata: Readonly<Record<string, unknown>> = {};

beforeAll(async () => {
  const service = serviceOf(testContract);
  const { server, endpoint } = await startUpstream(
    implementEcho(service, {
      GetPath(request, context) {
        calls += 1;
        lastMetadata = context.metadata;
        context.setHeader("x-answer", "yes");
        context.setHeader("x-internal-secret", "no");
        return undefined;
      },
      async *Blobs() {
        try {
          for (sent = 0; ; sent += 1) yield { contentType: "text/plain", data: Buffer.alloc(65_536) };
        } finally {
          stopped = true;
        }
      },
    }),
  );
  cleanup.defer(() => server.drain());
  rig = await startRig(
    { edgetest: [endpoint] },
    {
      limits: { headersTimeoutMs: 300, stallTimeoutMs: 300, maxBodyBytes: 10_000 },
      forwardedHeaders: ["authorization", "x-user-id", "x-custom-*"],
    },
  );
  cleanup.use(rig);
});

afterAll(() => cleanup.disposeAsync());

const get = (request: TestRequest): Promise<RawAnswer> => send(rig.port, request);

async function isAlive(): Promise<boolean> {
  return (await get({ path: "/paths/alive" })).status === 200;
}

describe("a Host", () => {
  test.each([
    "foo|bar",
    "a b",
    "[",
    "%zz",
    "",
    "127.0.0.1:abc",
    "127.0.0.1:99999",
    "a/b",
    "a@b",
    "1.2.3.4.5",
    "[::1",
    "x".repeat(300),
  ])("%j is refused, and the process lives", async (host) => {
    const answer = await get({ path: "/paths/x", headers: { host } });
    expect(answer.status).toBe(400);
    expect(await isAlive()).toBe(true);
  });

  test.each(["localhost", "localhost:1", "[::1]:80", "127.0.0.1", "a-b.example_1.com"])("%j is taken", async (host) => {
    expect((await get({ path: "/paths/x", headers: { host } })).status).toBe(200);
  });

  test("is there exactly once", async () => {
    expect((await sendRaw(rig.port, "GET /paths/x HTTP/1.0\r\n\r\n")).status).toBe(400);
    expect((await sendRaw(rig.port, "GET /paths/x HTTP/1.1\r\n\r\n")).status).toBe(400);
    expect((await sendRaw(rig.port, "GET /paths/x HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n")).status).toBe(400);
    expect(await isAlive()).toBe(true);
  });
});

describe("framing", () => {
  test.each<[string, string, number]>([
    [
      "both lengths",
      "POST /paths:lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["two lengths", "POST /paths:lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", 400],
    ["a negative length", "POST /paths:lookup HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 400],
    ["an unknown transfer coding", "POST /paths:lookup HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n", 400],
    ["a folded header", "GET /paths/x HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n", 400],
    ["a space before a colon", "GET /paths/x HTTP/1.1\r\nhost : a\r\n\r\n", 400],
    ["a NUL", "GET /paths/x HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", 400],
    ["no HTTP", "hello\r\n\r\n", 400],
    ["the start of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
    ["the target of a proxy", "GET http://other.example/paths/x HTTP/1.1\r\nhost: a\r\n\r\n", 400],
    ["a header section of 17 KB", `GET /paths/x HTTP/1.1\r\nhost: a\r\nx: ${"x".repeat(17_000)}\r\n\r\n`, 431],
    ["2,500 headers", `GET /paths/x HTTP/1.1\r\nhost: a\r\n${"a:b\r\n".repeat(2_500)}\r\n`, 431],
    ["a URL of 9 KB", `GET /paths/${"x".repeat(9_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, 414],
    ["a web socket", "GET /paths/x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 501],
  ])("with %s is refused", async (_what, bytes, status) => {
    expect((await sendRaw(rig.port, Buffer.from(bytes, "latin1"))).status).toBe(status);
    expect(await isAlive()).toBe(true);
  });

  test.each(["", "GET /paths/x HTTP/1.1\r\nhost:", "PRI * HTTP/2.0\r\n"])(
    "that stops after %j ends the connection in time",
    async (start) => {
      const socket = connect(rig.port, "127.0.0.1");
      const closed = new Promise((resolve) => socket.on("close", resolve));
      socket.resume();
      socket.on("error", () => {});
      socket.write(start);
      const startedMs = performance.now();
      await closed;
      expect(performance.now() - startedMs).toBeLessThan(3_000);
    },
  );

  test("in pieces of one byte is the same request", async () => {
    const socket = connect(rig.port, "127.0.0.1").setNoDelay(true);
    let received = "";
    socket.on("data", (chunk) => (received += chunk.toString()));
    for (const byte of "GET /paths/slow HTTP/1.1\r\nhost: a\r\n\r\n") {
      await new Promise<void>((resolve) => void socket.write(byte, () => resolve()));
    }
    await eventually(() => expect(received).toContain("200 OK"));
    socket.destroy();
  });

  test("of pipelined requests is answered in order", async () => {
    const socket: Socket = connect(rig.port, "127.0.0.1");
    let received = "";
    socket.on("data", (chunk) => (received += chunk.toString()));
    socket.write(Array.from({ length: 20 }, (_, index) => `GET /paths/n${index} HTTP/1.1\r\nhost: a\r\n\r\n`).join(""));
    await eventually(() => expect(received.match(/"requestJson":"[^}]*n19/)).not.toBeNull());
    expect([...received.matchAll(/\\"id\\":\\"n(\d+)/g)].map(([, index]) => Number(index))).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
    socket.destroy();
  });
});

describe("a body", () => {
  const post = (headers: Record<string, string>, body: string | Uint8Array): Promise<RawAnswer> =>
    get({ method: "POST", path: "/paths:lookup", headers, body });
  const json = { "content-type": "application/json" };

  test("of gzip or br is undone", async () => {
    const answer = await post({ ...json, "content-encoding": "gzip" }, gzipSync('{"id":"z"}'));
    expect(answer.body).toContain('\\"id\\":\\"z\\"');
  });

  test("has its limit, also after it is inflated, and is not read where its length says too much", async () => {
    expect((await post(json, `{"id":"${"x".repeat(10_001)}"}`)).status).toBe(429);
    expect((await post({ ...json, "content-encoding": "gzip" }, gzipSync(" ".repeat(5_000_000)))).status).toBe(429);
    expect((await sendRaw(rig.port, "POST /paths:lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 9000000000\r\n\r\n")).status).toBe(
      429,
    );
    expect(
      (
        await sendRaw(
          rig.port,
          `POST /paths:lookup HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4000\r\n${"x".repeat(0x4000)}\r\n0\r\n\r\n`,
        )
      ).status,
    ).toBe(429);
    expect(await isAlive()).toBe(true);
  });

  test.each([
    "text/plain",
    "multipart/form-data",
    "application/json; charset=latin1",
    "application/x-www-form-urlencoded",
    "application/jsonx",
  ])("of type %s is refused by REST", async (type) => {
    expect((await post({ "content-type": type }, "{}")).status).toBe(415);
  });

  test.each(["application/json", "application/json; charset=utf-8", "application/merge-patch+json"])(
    "of type %s is taken by REST",
    async (type) => {
      expect((await post({ "content-type": type }, "{}")).status).toBe(200);
    },
  );

  test("of an unknown coding is 415 for REST and 501 for Connect, and both name the known ones", async () => {
    const rest = await post({ ...json, "content-encoding": "zstd" }, "{}");
    expect([rest.status, rest.headers["accept-encoding"]]).toEqual([415, "gzip, br, identity"]);
    const rpc = await get({
      method: "POST",
      path: "/edgetest.v1.EchoService/GetPath",
      headers: { ...json, "content-encoding": "gzip, gzip" },
      body: "{}",
    });
    expect([rpc.status, rpc.headers["accept-encoding"]]).toEqual([501, "gzip, br, identity"]);
    expect(JSON.parse(rpc.body)).toMatchObject({ code: "unimplemented" });
  });

  test("that is no gzip is 400", async () => {
    expect((await post({ ...json, "content-encoding": "gzip" }, "{}")).status).toBe(400);
  });
});

describe("headers", () => {
  test("go inside by an allow list alone", async () => {
    await get({
      path: "/paths/x",
      headers: {
        authorization: "Bearer t",
        "x-user-id": "mallory",
        "x-roles": "admin",
        "x-internal-a": "1",
        "grpc-previous-rpc-attempts": "3",
        "grpc-status": "0",
        "x-custom-a": "2",
        "x-other": "3",
        "grpc-metadata-tenant": "t1",
        "grpc-metadata-x-roles": "admin",
        "grpc-metadata-grpc-timeout": "1n",
        "grpc-metadata-a-bin": "***",
        traceparent: "00-zz",
        "x-custom-b": "4",
        connection: "keep-alive, X-Custom-B",
        cookie: "a=b",
      },
    });
    expect(lastMetadata).toMatchObject({ authorization: "Bearer t", "x-custom-a": "2", tenant: "t1" });
    for (const name of [
      "x-user-id",
      "x-roles",
      "x-internal-a",
      "x-custom-b",
      "x-other",
      "cookie",
      "a-bin",
      "traceparent",
      "grpc-previous-rpc-attempts",
    ])
      expect(lastMetadata).not.toHaveProperty(name);
  });

  test("come back from the service, but for those of the mesh itself", async () => {
    const rest = await get({ path: "/paths/x" });
    expect(rest.headers["grpc-metadata-x-answer"]).toBe("yes");
    expect(JSON.stringify(rest.headers)).not.toContain("secret");
    const rpc = await get({
      method: "POST",
      path: "/edgetest.v1.EchoService/GetPath",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(rpc.headers["x-answer"]).toBe("yes");
  });

  test("name the request: the client's id if it is a plain one, or an own one", async () => {
    const kept = await get({ path: "/paths/x", headers: { "x-request-id": "abc-1" } });
    expect(kept.headers["x-request-id"]).toBe("abc-1");
    expect(lastMetadata["x-request-id"]).toBe("abc-1");
    for (const id of ["${jndi:ldap://x}", "x".repeat(200), "a b"]) {
      expect((await get({ path: "/nope", headers: { "x-request-id": id } })).headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

test("a client that goes while its body is being read costs no call", async () => {
  const before = calls;
  const socket = connect(rig.port, "127.0.0.1");
  await new Promise<void>(
    (resolve) => void socket.write("POST /paths:lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{", () => resolve()),
  );
  socket.destroy();
  expect(await isAlive()).toBe(true);
  expect(calls).toBe(before + 1);
});

describe("a client that does not read", () => {
  const unread = async (open: () => Promise<() => void>): Promise<void> => {
    stopped = false;
    const close = await open();
    // Nobody reads: the edge stops asking the service for more, and gives the client up.
    await eventually(() => expect(stopped).toBe(true), { timeoutMs: 5_000 });
    expect(sent).toBeLessThan(400);
    close();
    expect(await isAlive()).toBe(true);
  };

  test("is given up over HTTP/1, and cancels the call; what it left unread is bounded", async () => {
    await unread(async () => {
      const socket = connect(rig.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write("GET /blobs/x HTTP/1.1\r\nhost: a\r\nx-server-timeout: 60\r\n\r\n");
      socket.pause();
      return () => socket.destroy();
    });
  });

  test("is given up over HTTP/2 in the same way", async () => {
    await unread(async () => {
      const session = connectHttp2(rig.url);
      session.on("error", () => {});
      const stream = session.request({ ":path": "/blobs/x", "x-server-timeout": "60" });
      stream.on("error", () => {});
      stream.pause();
      return () => session.destroy();
    });
  });
});

test("a connection over HTTP/2 has a window for many uploads, each with the window of the protocol", async () => {
  const session = connectHttp2(rig.url);
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  await new Promise((resolve) => session.ping(resolve));
  expect(session.state.remoteWindowSize).toBe(1_048_576);
  expect(session.remoteSettings.initialWindowSize).toBe(65_535);
  session.destroy();
});

test("streams that are reset at any moment, and connections that break, leave the process alive", async () => {
  const paths = ["/paths/x", "/paths:lookup", "/nope", "/healthz", "/edgetest.v1.EchoService/GetPath", "/blobs/x"];
  const headers = { ":method": "POST", "content-type": "application/json", "grpc-timeout": "x" };
  for (let round = 0; round < 60; round += 1) {
    const session = connectHttp2(rig.url);
    session.on("error", () => {});
    for (const path of [...paths, ...paths]) {
      const stream = session.request({ ...headers, ":path": path });
      stream.on("error", () => {});
      stream.write("{");
      // In one packet with its headers, or somewhat later.
      if (round % 2 === 0) setImmediate(() => stream.close(round % 13));
      else setTimeout(() => stream.close(round % 13), round % 20);
    }
    await new Promise((resolve) => setTimeout(resolve, round % 20));
    session.destroy();
  }
  expect(await isAlive()).toBe(true);
});
