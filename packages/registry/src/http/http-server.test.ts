import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRegistry } from "../registry.ts";
import type { Registry } from "../registry.ts";
import { createTarget, uniqueName } from "../test-contract/target.ts";
import type { Target } from "../test-contract/target.ts";

let registry: Registry;
let target: Target;
beforeAll(async () => {
  registry = await createRegistry();
  target = createTarget(registry.address);
});
afterAll(async () => await registry.close());

/** Writes bytes to a fresh connection, and reads until the server closes it. */
async function sendBytes(bytes: string): Promise<string> {
  const [host = "", port = ""] = registry.address.split(":");
  const socket = connect({ host, port: Number(port) });
  // A server that refuses early may reset the connection after its answer.
  socket.on("error", () => {});
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
  socket.write(bytes, "latin1");
  await once(socket, "close");
  return answer;
}

function get(path: string, headers = "Host: a"): string {
  return `GET ${path} HTTP/1.1\r\n${headers}\r\nConnection: close\r\n\r\n`;
}

describe("what no client may bring down", () => {
  test.each([
    ["a Host that is none", get("/v1/status/leader", "Host: [::bad::%%%:99999999"), 200],
    ["an empty Host", get("/v1/status/leader", "Host: "), 200],
    ["no Host", get("/v1/status/leader", "X: y"), 400],
    ["two Hosts", get("/v1/status/leader", "Host: a\r\nHost: b"), 200],
    ["a whole URL", get("http://%zz:99999999/v1/status/leader"), 200],
    ["a path of two slashes", get("//v1/status/leader"), 404],
    ["a path that is a star", get("*"), 404],
    ["a broken percent encoding", get("/v1/health/service/%zz"), 400],
    ["half a UTF-8 character", get("/v1/health/service/%c3"), 400],
    ["a NUL in a name", get("/v1/agent/service/%00"), 404],
    ["a broken percent encoding in the query", get("/v1/health/service/a?filter=%zz"), 500],
    ["no HTTP", "\u0016\u0003\u0001\u0002\r\n\r\n", 400],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["an unknown method", "BREW /v1/status/leader HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 400],
    ["a header of 20 kB", get("/v1/status/leader", `Host: a\r\nX: ${"y".repeat(20_000)}`), 431],
    ["a path of 20 kB", get(`/v1/${"y".repeat(20_000)}`), 431],
    ["a length that is none", "PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400],
    ["prototype names", get("/v1/health/service/__proto__"), 200],
  ])("%s", async (_, bytes, status) => {
    expect((await sendBytes(bytes)).split(" ")[1]).toBe(String(status));
    expect((await target.send("GET", "/v1/status/leader")).status).toBe(200);
  });

  test("a body above 512 kB is answered 413, whether its length is announced or not", async () => {
    const announced = `PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nContent-Length: 524289\r\nConnection: close\r\n\r\n`;
    expect(await sendBytes(`${announced}${"x".repeat(524_289)}`)).toMatch(/^HTTP\/1\.1 413 [^]*the limit is 524288 bytes/);
    const chunk = `${(600_000).toString(16)}\r\n${"x".repeat(600_000)}\r\n0\r\n\r\n`;
    const chunked = `PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunk}`;
    expect(await sendBytes(chunked)).toMatch(/^HTTP\/1\.1 413 /);
    const meta = Object.fromEntries(Array.from({ length: 64 }, (_, number) => [`k${number}`, "v".repeat(512)]));
    await target.register({ Name: uniqueName("large"), Meta: meta });
  });

  test("a client that goes in the middle of its body", async () => {
    const [host = "", port = ""] = registry.address.split(":");
    const socket = connect({ host, port: Number(port) });
    socket.write("PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{");
    await once(socket, "connect");
    socket.resetAndDestroy();
    expect((await target.send("GET", "/v1/status/leader")).status).toBe(200);
  });

  test("a service with the names of Object's own", async () => {
    await target.register({
      Name: "__proto__",
      ID: "constructor",
      Meta: { __proto__: "x", toString: "y" },
      Check: { TTL: "60s" },
    });
    expect(await target.health("__proto__")).toMatchObject([{ Service: { ID: "constructor", Meta: { toString: "y" } } }]);
    expect(Object.keys(await target.read<object>("/v1/agent/services"))).toContain("constructor");
    expect(Object.keys(await target.read<object>("/v1/catalog/services"))).toContain("__proto__");
    expect((await target.send("PUT", "/v1/agent/service/deregister/constructor")).status).toBe(200);
  });

  test("a service with a slash in its id", async () => {
    const name = uniqueName("slash");
    await target.register({ Name: name, ID: `${name}/1 ü` });
    const path = `/v1/agent/service/${encodeURIComponent(`${name}/1 ü`)}`;
    expect(await target.read(path)).toMatchObject({ ID: `${name}/1 ü` });
    expect((await target.send("PUT", path.replace("service/", "service/deregister/"))).status).toBe(200);
  });
});

describe("what is refused", () => {
  test.each([
    ["GET", "/v1/agent/connect/ca/roots", "the Connect CA"],
    ["GET", "/v1/connect/intentions/match?by=destination&name=a", "the Connect CA and intentions"],
    ["PUT", "/v1/config", "config entries"],
    ["GET", "/v1/config/service-intentions/a", "config entries"],
    ["GET", "/v1/kv/a", "the key-value store"],
    ["PUT", "/v1/kv/a/b/c", "the key-value store"],
    ["PUT", "/v1/session/create", "sessions"],
    ["PUT", "/v1/catalog/register", "writing to the catalog past the agent"],
    ["GET", "/v1/operator/raft/configuration", "a cluster of several agents"],
  ])("%s %s is answered 501", async (method, path, what) => {
    const { status, text } = await target.send(method, path);
    expect([status, text]).toEqual([501, `The embedded registry does not have ${what}: use a real Consul for it.`]);
  });

  test.each([
    [{ Kind: "connect-proxy" }, "Kind"],
    [{ Connect: { SidecarService: { Port: 1 } } }, "SidecarService"],
    [{ Proxy: { DestinationServiceName: "a" } }, "Proxy"],
    [{ Check: { Args: ["true"], Interval: "1s" } }, "Args"],
    [{ Check: { UDP: "127.0.0.1:1", Interval: "1s" } }, "UDP"],
    [{ Check: { AliasService: "a" } }, "AliasService"],
    [{ Check: { TCP: "127.0.0.1:1", HTTP: "http://127.0.0.1:1", Interval: "1s" } }, "a check of several kinds"],
  ])("the registration %j", async (body, what) => {
    const { status, text } = await target.send("PUT", "/v1/agent/service/register", { Name: "a", ...body });
    expect([status, text]).toEqual([400, `${what} is not supported by the embedded registry`]);
  });

  test("empty values of what is not supported are fine: Consul's clients send them", async () => {
    await target.register({
      Name: uniqueName("empty"),
      Kind: "",
      Proxy: null,
      Connect: null,
      SocketPath: "",
      Check: null,
      Checks: null,
      Locality: {},
    });
  });

  test("the check of the registry itself is not to be replaced or removed", async () => {
    expect((await target.send("PUT", "/v1/agent/check/register", { CheckID: "serfHealth", Name: "x", TTL: "1s" })).status).toBe(
      400,
    );
    expect((await target.send("PUT", "/v1/agent/check/deregister/serfHealth")).status).toBe(400);
  });

  test("a write from a web page", async () => {
    const bytes =
      "PUT /v1/agent/service/deregister/a HTTP/1.1\r\nHost: a\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n";
    expect(await sendBytes(bytes)).toMatch(/^HTTP\/1\.1 403 /);
  });
});

describe("the status page", () => {
  test("lists services and checks with their status, and escapes everything", async () => {
    const evil = `<script>alert("x")</script>&'`;
    await target.register({ Name: evil, Tags: [evil], Address: evil, Check: { Name: evil, Notes: evil, TTL: "60s" } });
    const { status, text, headers } = await target.send("GET", "/");
    await target.send("PUT", `/v1/agent/service/deregister/${encodeURIComponent(evil)}`);
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
    expect(text).not.toContain("<script");
    expect(text.match(/&lt;script&gt;alert\(&quot;x&quot;\)&lt;\/script&gt;&amp;&#39;/g)).toHaveLength(5);
    expect(text).toContain('<b class="critical">critical</b>');
    expect(text).not.toMatch(/https?:\/\/|src=|@import/);
  });

  test("is where Consul has its own, too", async () => {
    expect(await target.send("GET", "/ui/")).toMatchObject({ status: 301, headers: { location: "/" } });
    expect((await target.send("GET", "/favicon.ico")).status).toBe(404);
  });
});

describe("many who wait", () => {
  test("are all answered by one change, and those who have gone are forgotten", async () => {
    const name = uniqueName("many");
    await target.register({ Name: name, Check: { TTL: "60s" } });
    const { index } = await target.send("GET", `/v1/health/service/${name}`);
    const path = `/v1/health/service/${name}?index=${index}&wait=60s`;
    const [host = "", port = ""] = registry.address.split(":");
    const gone = connect({ host, port: Number(port) });
    gone.write(get(path));
    const waiting = Array.from({ length: 300 }, async () => await target.send("GET", path));
    await target.send("GET", "/v1/status/leader");
    gone.resetAndDestroy();
    await target.send("PUT", `/v1/agent/check/pass/service:${name}`);
    for (const answer of await Promise.all(waiting)) expect(answer.index).toBeGreaterThan(index);
  });

  test("?pretty is for people", async () => {
    expect((await target.send("GET", "/v1/catalog/datacenters?pretty")).text).toBe('[\n    "dc1"\n]');
    expect((await target.send("GET", "/v1/catalog/datacenters")).text).toBe('["dc1"]');
  });
});
