/** Runs a suite of a data layer on each engine: one suite, since what differs between the engines is what it looks for. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { describe } from "vitest";
import { describeWith, postgresUrl } from "./parts.ts";

/** Where a test may make one database of its own: the options of `openDatabase`. Disposing it removes what was made. */
export interface DatabasePlace extends AsyncDisposable {
  readonly engine: "sqlite" | "postgres";
  /** A name that nobody else uses. */
  readonly name: string;
  readonly url: string | undefined;
  readonly dataDir: string;
}

/** A fresh place on SQLite: a temporary folder. */
export function sqlitePlace(name: string): DatabasePlace {
  const dataDir = mkdtempSync(join(tmpdir(), "protoloom-data-"));
  return {
    engine: "sqlite",
    name,
    url: undefined,
    dataDir,
    [Symbol.asyncDispose]: async () => rmSync(dataDir, { recursive: true, force: true }),
  };
}

/** A fresh place on PostgreSQL: a schema that does not exist yet. */
export function postgresPlace(name: string, url: string): DatabasePlace {
  const schema = `${name}_${randomBytes(6).toString("hex")}`;
  return {
    engine: "postgres",
    name: schema,
    url,
    dataDir: tmpdir(),
    async [Symbol.asyncDispose]() {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query(`drop schema if exists ${pg.escapeIdentifier(schema)} cascade`);
      await client.end();
    },
  };
}

/** `describe` on each engine; on PostgreSQL it is reported as skipped where there is none. */
export function describeOnEachEngine(title: string, body: (newPlace: (name: string) => DatabasePlace) => void): void {
  describe(`${title} on SQLite`, () => body(sqlitePlace));
  describeWith(["postgres"], `${title} on PostgreSQL`, () => body((name) => postgresPlace(name, postgresUrl() as string)));
}
