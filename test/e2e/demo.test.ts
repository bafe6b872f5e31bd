/** `protoloom up --demo`: a mesh with something in it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@protoloom/testing";
import { afterEach, expect, test } from "vitest";
import { sendJson } from "./json-client.ts";

const root = join(import.meta.dirname, "../..");
const dir = mkdtempSync(join(tmpdir(), "protoloom-demo-"));
let child: ChildProcess | undefined;

afterEach(async () => {
  await stop();
  rmSync(dir, { recursive: true, force: true, maxRetries: 20 });
});

async function stop(): Promise<void> {
  if (child === undefined || child.exitCode !== null) return;
  child.kill("SIGINT");
  await once(child, "exit");
}

/** Starts a mesh with demo data and waits until it is ready. Gives the edge, and what was written. */
async function start(): Promise<{ readonly edge: string; readonly lines: readonly string[] }> {
  const readyFile = join(dir, "ready.json");
  rmSync(readyFile, { force: true });
  const env = { ...process.env, NODE_COMPILE_CACHE: join(root, ".cache/node"), DATABASE_URL: "", CONSUL_HTTP_ADDR: "" };
  const args = ["packages/cli/src/main.ts", "up", "--demo", "--data-dir", join(dir, "data"), "--ready-file", readyFile];
  const started = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] });
  child = started;
  let text = "";
  started.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await eventually(() => existsSync(readyFile) || started.exitCode !== null, { timeoutMs: 60_000 });
  expect(started.exitCode, text).toBe(null);
  const { edge } = JSON.parse(readFileSync(readyFile, "utf8")) as { edge: string };
  return { edge, lines: text.split("\n") };
}

/** All resources of a collection. */
async function list(url: string, field: string): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  let pageToken = "";
  do {
    const { status, body } = await sendJson("GET", `${url}?pageSize=100&pageToken=${encodeURIComponent(pageToken)}`);
    expect(status).toBe(200);
    found.push(...(body[field] as Record<string, unknown>[]));
    pageToken = (body["nextPageToken"] ?? "") as string;
  } while (pageToken !== "");
  return found;
}

test("fills 200 users and 1,000 products with stock, shows how far it is, and adds nothing the second time", async () => {
  const first = await start();
  expect(first.lines).toEqual(expect.arrayContaining(["protoloom: demo data: 1,000 of 1,000 products with stock"]));
  expect(first.lines.filter((line) => /demo data: \d+ of 200 users/.test(line))).toHaveLength(4);
  expect(first.lines.find((line) => /200 users and 1,000 products added in/.test(line))).toBeDefined();
  // The calls that filled it are not shown.
  expect(first.lines.filter((line) => line.includes("AdjustStock"))).toEqual([]);

  const users = await list(`${first.edge}/v1/users`, "users");
  const products = await list(`${first.edge}/v1/products`, "products");
  expect([users.length, products.length]).toEqual([200, 1_000]);
  const currencies = new Set(products.map(({ price }) => (price as { currencyCode: string }).currencyCode));
  expect(currencies.size).toBeGreaterThan(3);
  const stocks = await Promise.all(
    [0, 499, 999].map((index) => sendJson("GET", `${first.edge}/v1/products/${String(products[index]?.["id"])}/stock`)),
  );
  for (const { body } of stocks) expect(Number(body["onHand"])).toBeGreaterThan(0);

  // What a user changes and deletes stays so.
  const [sold, renamed] = [users[0], products[1]];
  await sendJson("DELETE", `${first.edge}/v1/users/${String(sold?.["id"])}`);
  await sendJson("PATCH", `${first.edge}/v1/products/${String(renamed?.["id"])}`, { name: "My own lamp" });
  await stop();

  const second = await start();
  expect(await list(`${second.edge}/v1/users`, "users")).toHaveLength(199);
  const kept = await list(`${second.edge}/v1/products`, "products");
  expect(kept.map(({ id }) => id)).toEqual(products.map(({ id }) => id));
  const stock = await sendJson("GET", `${second.edge}/v1/products/${String(products[499]?.["id"])}/stock`);
  expect(stock.body).toEqual(stocks[1]?.body);
  await stop();
}, 120_000);
