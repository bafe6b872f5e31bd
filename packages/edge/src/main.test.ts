import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { eventually, startMesh } from "@protoloom/testing";
import { expect, test } from "vitest";

const fixture = {
  name: "fixture",
  command: [process.execPath, resolve(import.meta.dirname, "../../../test/fixture/src/main.ts")],
};

async function statusOf(url: string): Promise<number> {
  const answer = await fetch(url);
  await answer.arrayBuffer();
  return answer.status;
}

test("the process says all configuration problems at once and exits with 1", () => {
  const env = { PATH: process.env["PATH"], MESH_EDGE_PORT: "x", MESH_LOG_LEVEL: "loud" };
  const { status, stderr } = spawnSync(process.execPath, [resolve(import.meta.dirname, "main.ts")], { env, encoding: "utf8" });
  expect(status).toBe(1);
  expect(stderr).toContain("MESH_EDGE_PORT");
  expect(stderr).toContain("MESH_LOG_LEVEL");
}, 20_000);

test("the process serves what is registered within 2 s, keeps it without a registry, and ends with 0", async () => {
  await using mesh = await startMesh({ services: [fixture] });
  const url = `${mesh.edgeUrl}/v1/fixture/x`;
  const within = { timeoutMs: 2_000 };
  await eventually(async () => expect(await statusOf(url)).toBe(200), within);
  await mesh.instance("fixture").stop();
  await eventually(async () => expect(await statusOf(url)).toBe(404), within);
  await mesh.start("fixture");
  await eventually(async () => expect(await statusOf(url)).toBe(200), within);

  await mesh.registry?.kill();
  for (let count = 0; count < 20; count += 1) expect(await statusOf(url)).toBe(200);
  await mesh.registry?.restart();
  for (let count = 0; count < 20; count += 1) {
    expect(await statusOf(url)).toBe(200);
    await new Promise((done) => setTimeout(done, 50));
  }
  expect(await mesh.edge?.stop()).toMatchObject({ code: 0 });
}, 40_000);
