/**
 * vitest's global setup: the programs of node_modules/.bin first on PATH, also when vitest was not started by npm, and
 * one throw-away PostgreSQL server for all suites, unless TEST_DATABASE_URL names one.
 */
import { delimiter, resolve } from "node:path";
import { findPostgres, startPostgres } from "./postgres.ts";

/** Starts the server where PostgreSQL is installed, and gives the function that stops it. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  process.env["PATH"] = [resolve(import.meta.dirname, "../node_modules/.bin"), process.env["PATH"]].join(delimiter);
  if (process.env["TEST_DATABASE_URL"] !== undefined || findPostgres() === undefined) return undefined;
  const server = await startPostgres();
  process.env["TEST_DATABASE_URL"] = server.url;
  return async () => {
    delete process.env["TEST_DATABASE_URL"];
    await server.stop();
  };
}
