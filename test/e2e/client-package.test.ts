import { execFile } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachStack, product, useMesh, user } from "./stack.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);
let folder: string;

/** A program of another team that calls the mesh with plain grpc-js. */
const grpcProgram = `
import { credentials } from "@grpc/grpc-js";
import { type User, UserServiceClient } from "@protoloom/contracts/user/v1";
import { ProductServiceClient } from "@protoloom/contracts/product/v1";

const [users, products] = process.argv.slice(2).map(String);
if (users === undefined || products === undefined) throw new Error("two addresses are needed");
const client = new UserServiceClient(users, credentials.createInsecure());
const created = await new Promise<User>((resolve, reject) => {
  const user = { id: "", name: "Grace", email: \`grace-\${Date.now()}@example.com\`, createTime: undefined, updateTime: undefined, etag: "" };
  client.createUser({ user, requestId: "" }, (error, answer) => (error === null ? resolve(answer) : reject(error)));
});
const read = await new Promise<User>((resolve, reject) => {
  client.getUser({ id: created.id }, (error, answer) => (error === null ? resolve(answer) : reject(error)));
});
const catalogue = new ProductServiceClient(products, credentials.createInsecure());
const count = await new Promise<number>((resolve, reject) => {
  const request = { pageSize: 10, pageToken: "", orderBy: "", text: "", category: "", minPrice: undefined, maxPrice: undefined };
  catalogue.listProducts(request, (error, answer) => (error === null ? resolve(answer.products.length) : reject(error)));
});
client.close();
catalogue.close();
console.log(JSON.stringify({ same: read.id === created.id && read.name === "Grace", etag: read.etag !== "", count }));
`;

/** The same over Connect, from the descriptors of protobuf-es. */
const connectProgram = `
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { UserService } from "@protoloom/contracts/es/user/v1/user_service_pb";

const baseUrl = process.argv[2];
if (baseUrl === undefined) throw new Error("the address of the edge is needed");
const results: unknown[] = [];
for (const useBinaryFormat of [true, false]) {
  const client = createClient(UserService, createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat }));
  const created = await client.createUser({ user: { name: "Ada", email: \`ada-\${useBinaryFormat}-\${Date.now()}@example.com\` } });
  const read = await client.getUser({ id: created.id });
  const missing = await client.getUser({ id: "none" }).catch((error: unknown) => ConnectError.from(error).code === Code.NotFound);
  results.push(read.email === created.email && missing);
}
console.log(JSON.stringify(results));
`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "protoloom-client-"));
  const { stdout } = await run(process.execPath, ["tools/pack.ts", "contracts"], { cwd: root });
  const archive = stdout.trim().split("\n").at(-1) ?? "";
  copyFileSync(join(root, archive), join(folder, "contracts.tgz"));
  const dependencies = {
    "@connectrpc/connect": "2.2.0",
    "@connectrpc/connect-node": "2.2.0",
    "@protoloom/contracts": "file:./contracts.tgz",
  };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "elsewhere", private: true, type: "module", dependencies }));
  await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline"], { cwd: folder });
  // The types of Node come from here: they are the compiler's business, not the package's.
  cpSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"), { recursive: true });
  cpSync(join(root, "node_modules/undici-types"), join(folder, "node_modules/undici-types"), { recursive: true });
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "src/grpc.ts"), grpcProgram);
  writeFileSync(join(folder, "src/connect.ts"), connectProgram);
  const compilerOptions = {
    target: "es2022",
    module: "nodenext",
    strict: true,
    skipLibCheck: false,
    types: ["node"],
    rootDir: "src",
    outDir: "dist",
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
  await run(join(root, "node_modules/.bin/tsc"), ["-p", "."], { cwd: folder }).catch((error: { stdout?: string }) => {
    throw new Error(`the programs do not compile: ${error.stdout}`);
  });
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function runProgram(name: string, ...args: readonly string[]): Promise<unknown> {
  return JSON.parse((await run(process.execPath, [join("dist", name), ...args], { cwd: folder })).stdout);
}

describeOnEachStack("the client package, installed in another folder,", (stack) => {
  const mesh = useMesh(stack, { services: [user, product] });

  test("calls the instances with grpc-js", async () => {
    const addresses = [mesh().instance("user").address, mesh().instance("product").address];
    expect(await runProgram("grpc.js", ...addresses)).toEqual({ same: true, etag: true, count: 0 });
  });

  test("calls the edge with grpc-js", async () => {
    const { host } = new URL(mesh().edgeUrl);
    expect(await runProgram("grpc.js", host, host)).toEqual({ same: true, etag: true, count: 0 });
  });

  test("calls the edge with Connect, binary and JSON", async () => {
    expect(await runProgram("connect.js", mesh().edgeUrl)).toEqual([true, true]);
  });
});
