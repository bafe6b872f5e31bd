/** The two stacks that every end-to-end suite runs on, each a mesh of real processes. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { type MeshOptions, type MeshService, type TestMesh, startMesh } from "@protoloom/testing";
import { afterAll, beforeAll, describe } from "vitest";
import { describeWith, postgresUrl } from "../../tools/parts.ts";

const root = join(import.meta.dirname, "../..");

/** The services of this repository. */
export const user: MeshService = { name: "user", command: [process.execPath, join(root, "services/user/src/main.ts")] };
export const product: MeshService = { name: "product", command: [process.execPath, join(root, "services/product/src/main.ts")] };
/** The stateless service for tests. */
export const fixture: MeshService = { name: "fixture", command: [process.execPath, join(root, "test/fixture/src/main.ts")] };

/** A registry with a kind of database. */
export interface Stack {
  readonly name: string;
  readonly registry: "embedded" | "consul";
  readonly engine: "sqlite" | "postgres";
}

const embedded: Stack = { name: "the embedded registry and SQLite", registry: "embedded", engine: "sqlite" };
const real: Stack = { name: "Consul and PostgreSQL", registry: "consul", engine: "postgres" };

/** A database of its own on the test server; disposing it drops it, whoever is still connected. */
export async function createDatabase(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = postgresUrl();
  if (server === undefined) throw new Error("there is no PostgreSQL server");
  const name = `e2e_${randomBytes(6).toString("hex")}`;
  await runSql(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, [Symbol.asyncDispose]: () => runSql(server, `drop database ${name} with (force)`) };
}

async function runSql(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Starts a mesh on a stack, with a database of its own where the stack has PostgreSQL. */
export async function startOn(stack: Stack, options: Omit<MeshOptions, "registry" | "databaseUrl">): Promise<TestMesh> {
  await using cleanup = new AsyncDisposableStack();
  const database = stack.engine === "postgres" ? cleanup.use(await createDatabase()) : undefined;
  const mesh = cleanup.use(
    await startMesh({ ...options, registry: stack.registry, ...(database === undefined ? {} : { databaseUrl: database.url }) }),
  );
  const owned = cleanup.move();
  return { ...mesh, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** `describe` on each stack; where Consul or PostgreSQL is missing it is reported as skipped. */
export function describeOnEachStack(title: string, body: (stack: Stack) => void): void {
  describe(`${title} on ${embedded.name}`, () => body(embedded));
  describeWith(["consul", "postgres"], `${title} on ${real.name}`, () => body(real));
}

/** A mesh for all tests of a suite. */
export function useMesh(stack: Stack, options: Omit<MeshOptions, "registry" | "databaseUrl">): () => TestMesh {
  let mesh: TestMesh | undefined;
  beforeAll(async () => {
    mesh = await startOn(stack, options);
  });
  afterAll(async () => mesh?.[Symbol.asyncDispose]());
  return () => {
    if (mesh === undefined) throw new Error("the mesh did not start");
    return mesh;
  };
}
