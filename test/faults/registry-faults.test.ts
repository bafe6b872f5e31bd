import { type TestMesh, startMesh } from "@protoloom/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixture } from "../e2e/stack.ts";
import { judgeTrouble, registryTroubles, runTrouble } from "./registry-faults.ts";
import { callsPerSecond } from "./rig.ts";

const waitMs = 1_000;

describe(`${callsPerSecond} calls a second, found through a registry`, () => {
  let mesh: TestMesh;
  beforeAll(async () => {
    // They are registered elsewhere: what the client knows of them comes from the scripted registry alone.
    mesh = await startMesh({ edge: false, services: [{ ...fixture, instances: 3 }], env: { MESH_LOG_LEVEL: "warn" } });
  });
  afterAll(async () => mesh[Symbol.asyncDispose]());

  test.for(registryTroubles)("$name: no call fails, few requests, an update soon after", async (trouble) => {
    const addresses = mesh.instances("fixture").map(({ address }) => address);
    const report = await runTrouble(trouble, addresses, { lastsMs: 3_000, waitMs });
    expect(judgeTrouble(trouble, report, waitMs)).toEqual([]);
    expect(report.calls).toBeGreaterThan(callsPerSecond);
  });
});
