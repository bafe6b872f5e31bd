import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { createLogRecorder, eventually } from "@protoloom/testing";
import type { LogRecorder, RecordedLine } from "@protoloom/testing";
import type { Endpoint } from "@protoloom/mesh";
import { describe, expect, test } from "vitest";
import { createTestContract, serviceOf, testContract, testMethod } from "../../test/contract.ts";
import { implementEcho, send, startRig, startUpstream, toEndpoint } from "../../test/rig.ts";

const settings = { contracts: { reflectTimeoutMs: 500, retryBaseMs: 20, retryMaxMs: 100, refreshMs: 60_000 } };

/** A second version of the contract: one method more. */
const second = createTestContract({ methods: [] });
const withMethod = (path: string, service?: string): ReturnType<typeof createTestContract> =>
  createTestContract({
    ...(service === undefined ? {} : { service }),
    methods: [testMethod("Added", "Path", "Echo", { get: path })],
  });

const warningsOf = (lines: LogRecorder["lines"]): readonly RecordedLine[] => lines.filter(({ level }) => level === "warn");

async function statusOf(port: number, path: string): Promise<number> {
  return (await send(port, { path })).status;
}

describe("a catalogue", () => {
  test("serves what appears, answers 404 for what is no longer listed, with no restart", async () => {
    const { server, endpoint } = await startUpstream(implementEcho(serviceOf(testContract)));
    await using rig = await startRig({}, settings);
    expect(await statusOf(rig.port, "/paths/x")).toBe(404);
    rig.resolver.set("edgetest", [endpoint]);
    await eventually(async () => expect(await statusOf(rig.port, "/paths/x")).toBe(200));
    rig.resolver.remove("edgetest");
    await eventually(async () => expect(await statusOf(rig.port, "/paths/x")).toBe(404));
    rig.resolver.set("edgetest", [endpoint]);
    await eventually(async () => expect(await statusOf(rig.port, "/paths/x")).toBe(200));
    await server.drain();
  });

  test("keeps the routes of a service whose instances are all gone while it is listed", async () => {
    const { server, endpoint } = await startUpstream(implementEcho(serviceOf(testContract)));
    await using rig = await startRig({ edgetest: [endpoint] }, settings);
    rig.resolver.set("edgetest", []);
    await server.drain();
    const answer = await send(rig.port, { path: "/paths/x", headers: { "x-server-timeout": "0.3" } });
    expect([503, 504]).toContain(answer.status);
  });

  test("takes a changed contract from a new instance, all of it at once", async () => {
    const first = await startUpstream(implementEcho(serviceOf(testContract)));
    const next = await startUpstream(implementEcho(serviceOf(withMethod("/added/{id}"))));
    await using rig = await startRig({ edgetest: [first.endpoint] }, settings);
    expect(await statusOf(rig.port, "/added/x")).toBe(404);
    rig.resolver.set("edgetest", [next.endpoint]);
    await eventually(async () => expect(await statusOf(rig.port, "/added/x")).toBe(200));
    await Promise.all([first.server.drain(), next.server.drain()]);
  });

  test("tries again an instance that does not describe itself, and asks the others meanwhile", async () => {
    const broken = createServer((_request, response) => response.stream.close(2));
    broken.listen(0, "127.0.0.1");
    await new Promise((resolve) => broken.once("listening", resolve));
    const dead: Endpoint = toEndpoint(`127.0.0.1:${(broken.address() as AddressInfo).port}`);
    const { server, endpoint } = await startUpstream(implementEcho(serviceOf(testContract)));
    const { logger, lines } = createLogRecorder();
    await using rig = await startRig({ edgetest: [dead, endpoint] }, { ...settings, logger });
    await eventually(async () => expect((await send(rig.port, { path: "/readyz" })).body).toContain("edgetest.v1.EchoService"));
    expect(warningsOf(lines).length).toBeGreaterThan(0);
    broken.close();
    await server.drain();
  });

  test("passes by instances that speak no gRPC", async () => {
    await using rig = await startRig({ web: [toEndpoint("127.0.0.1:9", { protocol: "http" })] }, settings);
    expect((await send(rig.port, { path: "/readyz" })).status).toBe(200);
  });

  test("leaves a route to who holds it: the newcomer's rule alone is refused, and logged", async () => {
    const incumbent = await startUpstream(implementEcho(serviceOf(testContract)));
    const contract = createTestContract({
      service: "OtherService",
      methods: [testMethod("Steal", "Path", "Echo", { get: "/paths/{name}", additionalBindings: [{ get: "/own/{id}" }] })],
    });
    const thief = await startUpstream(implementEcho(serviceOf(contract, "OtherService")));
    const { logger, lines } = createLogRecorder();
    await using rig = await startRig({ zzz: [incumbent.endpoint] }, { ...settings, logger });
    rig.resolver.set("aaa", [thief.endpoint]);
    await eventually(async () => expect(await statusOf(rig.port, "/own/x")).toBe(200));
    expect((await send(rig.port, { path: "/paths/x" })).body).toContain('"rpc":"GetPath"');
    expect(warningsOf(lines)).toEqual([
      expect.objectContaining({ rule: "GET /paths/*", why: "zzz holds the route, aaa claims it too" }),
    ]);
    await Promise.all([incumbent.server.drain(), thief.server.drain()]);
  });

  test("leaves an RPC to the service that is registered under the name its contract says", async () => {
    const rightful = await startUpstream(implementEcho(serviceOf(testContract)));
    const copy = await startUpstream(implementEcho(serviceOf(second), { GetPath: () => ({ rpc: "stolen" }) }));
    await using rig = await startRig({ aaa: [copy.endpoint], edgetest: [rightful.endpoint] }, settings);
    await eventually(async () => expect((await send(rig.port, { path: "/readyz" })).body).toContain('"name":"edgetest"'));
    await Promise.all([rightful.server.drain(), copy.server.drain()]);
  });

  test("refuses a malformed rule alone, and serves the method's other ways", async () => {
    const contract = createTestContract({
      methods: [
        testMethod("Odd", "Path", "Echo", {
          get: "/odd/{nope}",
          additionalBindings: [{ get: "/odd/{id" }, { get: "/even/{id}" }],
        }),
      ],
    });
    const { server, endpoint } = await startUpstream(implementEcho(serviceOf(contract)));
    const { logger, lines } = createLogRecorder();
    await using rig = await startRig({ edgetest: [endpoint] }, { ...settings, logger });
    expect(await statusOf(rig.port, "/even/x")).toBe(200);
    expect(await statusOf(rig.port, "/odd/x")).toBe(404);
    expect(warningsOf(lines)).toHaveLength(2);
    await server.drain();
  });

  test("serves a method that is not exposed only where the configuration names it", async () => {
    const { server, endpoint } = await startUpstream(implementEcho(serviceOf(testContract)));
    await using closed = await startRig({ edgetest: [endpoint] }, settings);
    expect(await statusOf(closed.port, "/hidden/x")).toBe(404);
    expect(
      (
        await send(closed.port, {
          method: "POST",
          path: "/edgetest.v1.EchoService/Hidden",
          headers: { "content-type": "application/json" },
          body: "{}",
        })
      ).status,
    ).toBe(404);
    await using open = await startRig({ edgetest: [endpoint] }, { ...settings, expose: ["edgetest.v1.EchoService/Hidden"] });
    expect(await statusOf(open.port, "/hidden/x")).toBe(200);
    await server.drain();
  });
});
