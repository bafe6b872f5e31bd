import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Client, type Mesh, createMesh } from "@protoloom/mesh";
import { type TestMesh, eventually, startMesh } from "@protoloom/testing";
import { GreeterService } from "./gen/index.ts";

let running: TestMesh;
let mesh: Mesh;
let greeter: Client<typeof GreeterService>;

before(async () => {
  const command = [process.execPath, join(import.meta.dirname, "main.js")];
  running = await startMesh({ services: [{ name: "greeter", command }] });
  mesh = createMesh({ registryUrl: running.registryUrl });
  greeter = mesh.client(GreeterService);
});

after(async () => {
  await mesh?.[Symbol.asyncDispose]();
  await running?.[Symbol.asyncDispose]();
});

/** Addresses of the instances that the registry gives to callers. */
async function registered(): Promise<string[]> {
  const answer = await fetch(`${running.registryUrl}/v1/health/service/greeter?passing`);
  const entries = (await answer.json()) as { Service: { Address: string; Port: number } }[];
  return entries.map(({ Service }) => `${Service.Address}:${Service.Port}`);
}

/** A call at the edge: status and JSON. */
async function atEdge(path: string, init: RequestInit = {}): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${running.edgeUrl}${path}`, init);
  return { status: answer.status, body: await answer.json() };
}

test("the service registers", async () => {
  assert.deepEqual(await registered(), [running.instance("greeter").address]);
});

test("a client of the mesh finds it and calls it", async () => {
  assert.deepEqual(await greeter.greet({ name: "Ada" }), { text: "Hello, Ada!" });
  const said: unknown[] = [];
  for await (const step of greeter.countDown({ name: "Grace", steps: 2 })) said.push(step.said?.value);
  assert.deepEqual(said, [2, 1, "Hello, Grace!"]);
  assert.deepEqual(await greeter.countGreetings({}), { counts: { Ada: 1, Grace: 1 } });
});

test("the rules of the contract hold", async () => {
  await assert.rejects(greeter.greet({ name: "" }), { code: 3 });
});

test("the edge serves it as JSON, without any code", async () => {
  await eventually(async () => (await atEdge("/v1/greetings/Ada")).status === 200);
  assert.deepEqual(await atEdge("/v1/greetings/Ada"), { status: 200, body: { text: "Hello, Ada!" } });
  const headers = { "content-type": "application/json" };
  const greet = (name: string): ReturnType<typeof atEdge> =>
    atEdge("/greeter.v1.GreeterService/Greet", { method: "POST", headers, body: JSON.stringify({ name }) });
  assert.deepEqual(await greet("Grace"), { status: 200, body: { text: "Hello, Grace!" } });
  const refused = await greet("x".repeat(51));
  assert.equal(refused.status, 400);
  assert.match(JSON.stringify(refused.body), /"field":"name"/);
});

test("what is internal is not served at the edge", async () => {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
  assert.equal((await fetch(`${running.edgeUrl}/greeter.v1.GreeterService/CountGreetings`, init)).status, 404);
});

test("SIGTERM drains it: the stream ends as it should, and the registry knows it no longer", async () => {
  const instance = running.instance("greeter");
  const said: unknown[] = [];
  let stopped: ReturnType<typeof instance.stop> | undefined;
  for await (const step of greeter.countDown({ name: "Joan", steps: 5, intervalMs: 100 })) {
    stopped ??= instance.stop();
    said.push(step.said?.value);
  }
  assert.deepEqual(said, [5, 4, 3, 2, 1, "Hello, Joan!"]);
  assert.deepEqual((await stopped)?.code, 0);
  assert.deepEqual(await registered(), []);
});
