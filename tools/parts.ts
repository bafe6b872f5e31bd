/**
 * The parts that some tests need and npm does not bring: pinned tools from `.tools` (`tools/build-tools.mjs` builds
 * them), and PostgreSQL. A suite whose part is missing is reported as skipped, with the part's name.
 */
import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import { describe, test } from "vitest";
import { findPostgres } from "./postgres.ts";

const tools = resolve(import.meta.dirname, "../.tools");

/** A part by name. */
export type Part = "grpcurl" | "consul" | "postgres" | "python";

/** The path of a part's executable, or undefined where it is not installed. */
export function part(name: Part): string | undefined {
  if (name === "postgres") return findPostgres()?.postgres;
  const path = resolve(tools, name === "python" ? "python/bin" : "bin", name);
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return undefined; // Absence is an answer here: the caller skips its suite.
  }
}

/**
 * The URL of the PostgreSQL server for tests (`TEST_DATABASE_URL`), or undefined. vitest's global setup starts a
 * throw-away server where PostgreSQL is installed and the variable is not set. A suite makes a database or a schema of its own.
 */
export function postgresUrl(): string | undefined {
  return process.env["TEST_DATABASE_URL"];
}

/** `describe` for a suite that needs parts. `body` does not run when one is missing. */
export function describeWith(parts: readonly string[], title: string, body: () => void): void {
  const missing = parts.filter((name) => !isPresent(name));
  if (missing.length === 0) describe(title, body);
  else describe(title, () => test.skip(`needs ${missing.join(" and ")}`));
}

function isPresent(name: string): boolean {
  switch (name) {
    case "postgres":
      return postgresUrl() !== undefined;
    case "grpcurl":
    case "consul":
    case "python":
      return part(name) !== undefined;
    default:
      throw new Error(`no part is called ${name}`);
  }
}
