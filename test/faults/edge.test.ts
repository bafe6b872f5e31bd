import { setTimeout as delay } from "node:timers/promises";
import { type TestMesh, startMesh } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixture } from "../e2e/stack.ts";
import { type EdgeLoad, startEdgeLoad } from "./edge-load.ts";
import { callsPerSecond, instanceCount } from "./rig.ts";

const calmMs = 500;

describe(`${callsPerSecond} requests a second through the edge to ${instanceCount} instances`, () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    const env = { MESH_LOG_LEVEL: "warn", MESH_DRAIN_TIMEOUT_MS: "3000", MESH_DRAIN_NOTICE_MS: "500" };
    mesh = await startMesh({ services: [{ ...fixture, instances: instanceCount }], env });
  });
  afterAll(async () => mesh[Symbol.asyncDispose]());

  /** Answers by their status, failures by what they say. */
  const outcomes = (load: EdgeLoad): Readonly<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const { answer, error } of load.ended) {
      const outcome = answer === undefined ? ((error as NodeJS.ErrnoException).code ?? String(error)) : String(answer);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    return counts;
  };

  test("a rolling restart of all instances fails none", async () => {
    using load = startEdgeLoad(mesh.edgeUrl, callsPerSecond);
    await delay(calmMs);
    for (const instance of mesh.instances("fixture")) {
      expect(await instance.stop()).toMatchObject({ code: 0 });
      await instance.restart();
    }
    await delay(calmMs);
    await load.stop();
    expect(Object.keys(outcomes(load))).toEqual(["200"]);
  });

  test("a restart of the edge finishes what it has taken, and only refuses what comes while it is away", async () => {
    using load = startEdgeLoad(mesh.edgeUrl, callsPerSecond);
    await delay(calmMs);
    const edge = mesh.edge;
    if (edge === undefined) throw new Error("the mesh has no edge");
    const askedMs = performance.now();
    expect(await edge.stop()).toMatchObject({ code: 0 });
    const endedMs = performance.now();
    await edge.restart();
    const readyMs = performance.now();
    await delay(calmMs);
    await load.stop();
    // 503 comes from an edge that listens and does not know the services yet.
    const { "200": answered, "503": early = 0, ECONNREFUSED: refused = 0, ...others } = outcomes(load);
    expect(others).toEqual({});
    expect(answered).toBeGreaterThan(callsPerSecond);
    expect(refused + early).toBeGreaterThan(0);
    // It serves through the notice of its drain, and again once it is ready.
    const failed = load.ended.filter(({ answer }) => answer !== 200);
    for (const { endedMs: failedMs } of failed) {
      expect(failedMs - askedMs).toBeGreaterThan(450);
      expect(failedMs).toBeLessThan(readyMs + 50);
    }
    expect(endedMs - askedMs).toBeLessThan(1_500);
  });
});
