import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { describeWith, part } from "../../../tools/parts.ts";
import { startConsulAgent } from "./consul-agent.ts";
import { eventually } from "./eventually.ts";

async function services(address: string): Promise<readonly string[]> {
  const answer = await fetch(`http://${address}/v1/catalog/services`);
  return Object.keys((await answer.json()) as object);
}

describeWith(["consul"], "a real Consul for tests", () => {
  const binary = part("consul") ?? "consul";

  test("starts beside others, forgets everything when it starts again, and ends", { timeout: 60_000 }, async () => {
    await using agent = await startConsulAgent({ binary });
    await using other = await startConsulAgent({ binary });
    expect(agent.address).not.toBe(other.address);
    await fetch(`http://${agent.address}/v1/agent/service/register`, { method: "PUT", body: '{"Name":"a"}' });
    await eventually(async () => (await services(agent.address)).includes("a"));
    expect(await services(other.address)).toEqual(["consul"]);
    await agent.restart();
    expect(await services(agent.address)).toEqual(["consul"]);
    await agent.stop();
    await expect(services(agent.address)).rejects.toThrow();
  });

  test("ends when the process that started it is killed", { timeout: 60_000 }, async () => {
    const source = `import { startConsulAgent } from ${JSON.stringify(new URL("consul-agent.ts", import.meta.url).href)};
      console.log((await startConsulAgent({ binary: ${JSON.stringify(binary)} })).address);`;
    const parent = spawn(process.execPath, ["--input-type=module", "--eval", source], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const address = line.toString("utf8").trim();
    expect(await services(address)).toEqual(["consul"]);
    parent.kill("SIGKILL");
    await eventually(
      async () =>
        await services(address).then(
          () => false,
          () => true,
        ),
    );
  });

  test("a program that is none is named", async () => {
    await expect(startConsulAgent({ binary: "/nonexistent/consul" })).rejects.toThrow(
      /consul did not start: .*\/nonexistent\/consul/s,
    );
  });
});
