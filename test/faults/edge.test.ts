import { setTimeout as delay } from "node:timers/promises";
import { credentials } from "@grpc/grpc-js";
import { FixtureServiceClient, type LedgerResponse } from "@protoloom/fixture/v1";
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

  /** Requests by what became of them. */
  const outcomes = (load: EdgeLoad): Readonly<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const { answer } of load.ended) {
      const outcome = answer?.outcome ?? "none";
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    return counts;
  };

  /** How often each request was executed, by its id, on all instances together. */
  const readLedgers = async (): Promise<ReadonlyMap<string, number>> => {
    const counts = new Map<string, number>();
    for (const { address } of mesh.instances("fixture")) {
      const client = new FixtureServiceClient(address, credentials.createInsecure());
      const ledger = await new Promise<LedgerResponse>((resolve, reject) =>
        client.ledger({ ids: [] }, (error, value) => (error === null ? resolve(value) : reject(error))),
      );
      client.close();
      for (const [id, count] of Object.entries(ledger.counts)) counts.set(id, (counts.get(id) ?? 0) + count);
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
    // 503 comes from an edge that listens and does not know the services yet. A connection that the kernel has taken and the
    // edge has not is reset when the edge stops listening: refused as well.
    const { "200": answered, "503": early = 0, ECONNREFUSED: refused = 0, ECONNRESET: reset = 0, ...others } = outcomes(load);
    expect(others).toEqual({});
    expect(answered).toBeGreaterThan(callsPerSecond);
    expect(refused + early + reset).toBeGreaterThan(0);
    // What was taken was finished: no request without an answer was executed, and none with one twice.
    const executed = await readLedgers();
    const wrong = load.ended.filter(
      ({ answer }) => (executed.get(answer?.id ?? "") ?? 0) !== (answer?.outcome === "200" ? 1 : 0),
    );
    expect(wrong).toEqual([]);
    // It serves through the notice of its drain, and again once it is ready.
    const failed = load.ended.filter(({ answer }) => answer?.outcome !== "200");
    for (const { endedMs: failedMs } of failed) {
      expect(failedMs - askedMs).toBeGreaterThan(450);
      expect(failedMs).toBeLessThan(readyMs + 50);
    }
    expect(endedMs - askedMs).toBeLessThan(1_500);
  });
});
