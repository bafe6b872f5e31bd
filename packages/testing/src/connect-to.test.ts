import { FixtureService } from "@protoloom/fixture";
import { createFixtureService } from "@protoloom/fixture/service";
import { implement } from "@protoloom/mesh";
import { expect, test } from "vitest";
import { connectTo } from "./connect-to.ts";
import { serveLocally } from "./serve-locally.ts";
import type { LocalServer } from "./serve-locally.ts";

/** Serves a fixture whose answers say which one it is. */
async function serveFixture(instance: string): Promise<LocalServer> {
  return await serveLocally([implement(FixtureService, createFixtureService({ instance: () => instance }))]);
}

/** The endpoints of a name, as `host port`. */
async function endpointsOf(address: string): Promise<readonly string[]> {
  await using mesh = connectTo({ user: [address] });
  for await (const { endpoints } of mesh.resolver.watch("user", AbortSignal.timeout(1_000)))
    return endpoints.map(({ host, port }) => `${host} ${port}`);
  return [];
}

test("its clients spread their calls over the addresses of their service", async () => {
  await using one = await serveFixture("one");
  await using two = await serveFixture("two");
  await using mesh = connectTo({ fixture: [one.address, two.address], user: ["127.0.0.1:9"] });
  const fixture = mesh.client(FixtureService);
  const answers = await Promise.all(Array.from({ length: 50 }, async () => await fixture.echo({})));
  expect(new Set(answers.map(({ instance }) => instance))).toEqual(new Set(["one", "two"]));
});

test.each([
  ["127.0.0.1:5001", "127.0.0.1 5001"],
  ["localhost:1", "localhost 1"],
  ["[::1]:65535", "::1 65535"],
  ["[fe80::1%eth0]:5001", "fe80::1%eth0 5001"],
])("%s is an address", async (address, expected) => {
  expect(await endpointsOf(address)).toEqual([expected]);
});

test.each([
  "",
  "127.0.0.1",
  "127.0.0.1:",
  ":5001",
  "::1:5001",
  "[]:5001",
  "[::1]",
  "a:0",
  "a:65536",
  "a:1e3",
  "http://a:1",
  "a:1/",
])("%j is none", (address) => {
  expect(() => connectTo({ user: [address] })).toThrow(`"${address}" is no address`);
});

test("it registers nothing", async () => {
  await using mesh = connectTo({});
  const instance = { name: "user", host: "127.0.0.1", port: 9, meta: {} };
  expect(() => mesh.registrar.register(instance)).toThrow("this mesh has no registry");
});

test("disposing it leaves the servers to their owners, and the resolver without watches", async () => {
  await using local = await serveFixture("one");
  const mesh = connectTo({ fixture: [local.address] });
  const seen: unknown[] = [];
  const watching = (async () => {
    for await (const { endpoints } of mesh.resolver.watch("fixture", AbortSignal.timeout(5_000))) seen.push(endpoints.length);
  })();
  expect(await mesh.client(FixtureService).echo({ text: "a" })).toMatchObject({ text: "a" });
  await mesh[Symbol.asyncDispose]();
  await watching;
  expect(seen).toEqual([1]);
  expect(await local.mesh.client(FixtureService).echo({ text: "b" })).toMatchObject({ text: "b" });
});
