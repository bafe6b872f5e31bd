import { setTimeout as delay } from "node:timers/promises";
import { UserService } from "@protoloom/contracts";
import { FixtureService } from "@protoloom/fixture";
import { type Mesh, createMesh } from "@protoloom/mesh";
import { type MeshProcess, type TestMesh, eventually } from "@protoloom/testing";
import { describe, expect, test } from "vitest";
import { describeWith } from "../../tools/parts.ts";
import { type Stack, fixture, startOn, user } from "../e2e/stack.ts";
import { type CallRecord, type OpenLoop, failures, startOpenLoop } from "./open-loop.ts";

const perSecond = 200;
/** Load before and after each fault. */
const calmMs = 1_000;

interface Case {
  readonly stack: Stack;
  readonly service: typeof fixture;
  /** Builds the call that is repeated. */
  prepare(mesh: Mesh): Promise<() => Promise<unknown>>;
}

const cases: readonly (Case & { readonly needs: readonly string[] })[] = [
  {
    needs: [],
    stack: { name: "the fixture on the embedded registry", registry: "embedded", engine: "sqlite" },
    service: fixture,
    prepare: prepareFixture,
  },
  {
    needs: ["postgres"],
    stack: { name: "user on the embedded registry", registry: "embedded", engine: "postgres" },
    service: user,
    prepare: prepareUser,
  },
  {
    needs: ["consul", "postgres"],
    stack: { name: "user on Consul", registry: "consul", engine: "postgres" },
    service: user,
    prepare: prepareUser,
  },
];

async function prepareFixture(mesh: Mesh): Promise<() => Promise<unknown>> {
  const client = mesh.client(FixtureService);
  // Long enough that some calls are always in flight.
  return () => client.echo({ text: "x", delayMs: 20 });
}

async function prepareUser(mesh: Mesh): Promise<() => Promise<unknown>> {
  const client = mesh.client(UserService);
  const { id } = await client.createUser({ user: { name: "Ada", email: "ada@example.com" } });
  return () => client.getUser({ id });
}

/** Two instances under load; the fault happens between two calm spells. */
async function underLoad(
  { stack, service, prepare }: Case,
  fault: (mesh: TestMesh, load: OpenLoop) => Promise<void>,
): Promise<readonly CallRecord[]> {
  await using mesh = await startOn(stack, {
    edge: false,
    services: [{ ...service, instances: 2 }],
    env: { MESH_LOG_LEVEL: "warn" },
  });
  await using client = createMesh({ registryUrl: mesh.registryUrl });
  const load = startOpenLoop(perSecond, await prepare(client));
  try {
    await delay(calmMs);
    await fault(mesh, load);
    await delay(calmMs);
  } finally {
    await load.stop();
  }
  expect(load.ended.length).toBeGreaterThan((perSecond * 2 * calmMs * 0.9) / 1_000);
  return load.ended;
}

function second(mesh: TestMesh, { service }: Case): MeshProcess {
  const instance = mesh.instances(service.name)[1];
  if (instance === undefined) throw new Error("there is no second instance");
  return instance;
}

/** The instances whose checks all pass, as the registry lists them. */
async function passing(mesh: TestMesh, name: string): Promise<number> {
  const answer = await fetch(`${mesh.registryUrl}/v1/health/service/${name}?passing`);
  return ((await answer.json()) as unknown[]).length;
}

for (const scenario of cases) {
  describeWith(scenario.needs, `${perSecond} calls a second to two instances: ${scenario.stack.name}`, () => {
    test("SIGKILL of one loses at most the calls that were in flight", async () => {
      let [killedMs, goneMs, inFlight] = [0, 0, 0];
      const records = await underLoad(scenario, async (mesh, load) => {
        [killedMs, inFlight] = [performance.now(), load.inFlight];
        await second(mesh, scenario).kill("SIGKILL");
        goneMs = performance.now();
      });
      const lost = failures(records);
      console.log(`${lost.length} of ${records.length} calls lost, ${inFlight} were in flight`);
      expect(lost.length).toBeLessThanOrEqual(inFlight + Math.ceil(((goneMs - killedMs) * perSecond) / 1_000));
      for (const { startedMs, endedMs } of lost) {
        expect(startedMs).toBeLessThan(goneMs);
        expect(endedMs).toBeGreaterThan(killedMs);
      }
    });

    test("SIGTERM of one loses none", async () => {
      const records = await underLoad(scenario, async (mesh) => {
        expect(await second(mesh, scenario).stop()).toMatchObject({ code: 0 });
      });
      expect(failures(records)).toEqual([]);
    });

    test("a registry that is killed and restarted empty loses none, and knows all instances within 5 s", async () => {
      let againMs = 0;
      const records = await underLoad(scenario, async (mesh) => {
        expect(await passing(mesh, scenario.service.name)).toBe(2);
        await mesh.registry?.kill();
        await delay(calmMs);
        await mesh.registry?.restart();
        const upMs = performance.now();
        await eventually(async () => (await passing(mesh, scenario.service.name)) === 2, { timeoutMs: 5_000 });
        againMs = performance.now() - upMs;
      });
      console.log(`no call lost; all registered again after ${Math.round(againMs)} ms`);
      expect(failures(records)).toEqual([]);
      expect(againMs).toBeLessThan(5_000);
    });
  });
}

describe("the edge without a restart", () => {
  const echo = async (mesh: TestMesh): Promise<number> => {
    const answer = await fetch(`${mesh.edgeUrl}/v1/fixture:echo`, {
      method: "POST",
      body: `{"text":"x"}`,
      headers: { "content-type": "application/json" },
      // A call that has lost its instance waits for another one: that is not what is looked for here.
      signal: AbortSignal.timeout(300),
    });
    await answer.arrayBuffer();
    return answer.status;
  };

  test("serves a service within 2 s of its start, and answers 404 within 2 s of its deregistration", async () => {
    await using mesh = await startOn({ name: "", registry: "embedded", engine: "sqlite" }, {});
    expect(await echo(mesh)).toBe(404);
    const instance = await mesh.start(fixture);
    await eventually(async () => (await echo(mesh)) === 200, { timeoutMs: 2_000 });
    instance.signal("SIGTERM");
    await eventually(async () => (await echo(mesh)) === 404, { timeoutMs: 2_000 });
  });
});
