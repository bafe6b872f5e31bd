import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { sqlitePlace } from "../../../../tools/databases.ts";
import { silentLogger } from "../base/logger.ts";
import { openDatabase } from "./database.ts";

interface Tables {
  readonly item: { readonly id: string };
}

const migrations = {
  "0001_item": async (db, { text }) => {
    await db.schema.createTable("item").addColumn("id", text).execute();
  },
} satisfies Parameters<typeof openDatabase>[0]["migrations"];

/** A process that opens a database, writes a row a turn and says each one once it is committed. */
const writer = `
  import { openDatabase } from ${JSON.stringify(join(import.meta.dirname, "database.ts"))};
  const quiet = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };
  const migrations = { "0001_item": async (db, { text }) => { await db.schema.createTable("item").addColumn("id", text).execute(); } };
  const database = await openDatabase({ name: "item", dataDir: process.argv[1], migrations, logger: quiet });
  for (let id = 1; ; id++) {
    await database.transaction(async (trx) => await trx.insertInto("item").values({ id: String(id) }).execute());
    process.stdout.write(id + "\\n");
    await new Promise((resolve) => setImmediate(resolve));
  }`;

function startWriter(dataDir: string): ChildProcess {
  return spawn(process.execPath, ["--input-type=module", "--eval", writer, dataDir], { stdio: ["ignore", "pipe", "pipe"] });
}

async function firstOutput(child: ChildProcess): Promise<string> {
  const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  return chunk.toString();
}

describe("the owner of a SQLite file", () => {
  test("is one process: a second is refused with a line that names the file and the way out", async () => {
    await using place = sqlitePlace("item");
    const child = startWriter(place.dataDir);
    try {
      await firstOutput(child);
      const refused = openDatabase<Tables>({ ...place, migrations, logger: silentLogger });
      await expect(refused).rejects.toThrow(
        `${join(place.dataDir, "item.sqlite")} is in use by another process: on SQLite one process owns it; several instances need DATABASE_URL (PostgreSQL)`,
      );
      const second = startWriter(place.dataDir);
      let said = "";
      second.stderr?.on("data", (chunk: Buffer) => (said += chunk.toString()));
      const [code] = (await once(second, "close")) as [number];
      expect(code).toBe(1);
      expect(said).toContain("several instances need DATABASE_URL");
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("is one database of a process, too", async () => {
    await using place = sqlitePlace("item");
    await using database = await openDatabase<Tables>({ ...place, migrations, logger: silentLogger });
    await expect(openDatabase<Tables>({ ...place, migrations, logger: silentLogger })).rejects.toThrow("is in use");
    await database.ping();
  });

  test("gives way when it is killed, and every row that it acknowledged is there", async () => {
    await using place = sqlitePlace("item");
    for (let round = 0; round < 3; round++) {
      const child = startWriter(place.dataDir);
      let output = await firstOutput(child);
      child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
      while (output.length < 100) await once(child.stdout as NodeJS.ReadableStream, "data");
      child.kill("SIGKILL");
      await once(child, "close");
      await using database = await openDatabase<Tables>({ ...place, migrations, logger: silentLogger });
      const stored = new Set((await database.read.selectFrom("item").select("id").execute()).map(({ id }) => id));
      const acknowledged = output.slice(0, output.lastIndexOf("\n")).split("\n");
      expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
      await database.transaction(async (trx) => await trx.deleteFrom("item").execute());
    }
  });

  test("gives way when it closes", async () => {
    await using place = sqlitePlace("item");
    for (let round = 0; round < 3; round++) {
      await using database = await openDatabase<Tables>({ ...place, migrations, logger: silentLogger });
      await database.ping();
    }
  });
});
