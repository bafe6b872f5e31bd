import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { describeOnEachEngine } from "../../../../tools/databases.ts";
import type { DatabasePlace } from "../../../../tools/databases.ts";
import { silentLogger } from "../base/logger.ts";
import { logStart } from "./change.ts";
import type { LogPosition } from "./change.ts";
import { createChangeLog } from "./change-log.ts";
import { openDatabase } from "./database.ts";
import { writtenMigrations } from "./test-writer/write-until-killed.ts";
import type { WrittenTables } from "./test-writer/write-until-killed.ts";

const script = fileURLToPath(import.meta.resolve("./test-writer/write-until-killed.ts"));

/** Runs a writer and kills it without warning after some acknowledged items, which are given. */
async function writeAndKill({ name, dataDir, url }: DatabasePlace, count: number): Promise<ReadonlySet<string>> {
  const child = spawn(process.execPath, [script, name, dataDir, ...(url === undefined ? [] : [url])], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.split("\n").length > count) child.kill("SIGKILL");
  }
  await ended;
  return new Set(text.split("\n").slice(0, -1));
}

describeOnEachEngine("the change log of a writer that is killed", (newPlace) => {
  test("holds exactly what was committed, and all that was acknowledged", { timeout: 60_000 }, async () => {
    await using place = newPlace("kill");
    const acknowledged = new Set<string>();
    const followed: string[] = [];
    let position: LogPosition = logStart;
    for (const count of [20, 50, 200]) {
      for (const id of await writeAndKill(place, count)) acknowledged.add(id);
      await using database = await openDatabase<WrittenTables>({ ...place, migrations: writtenMigrations, logger: silentLogger });
      await using log = await createChangeLog(database, { domain: "user.v1", logger: silentLogger });
      const committed = (await database.read.selectFrom("item").select("id").execute()).map(({ id }) => id);
      for await (const changes of log.follow(position, AbortSignal.timeout(10_000))) {
        followed.push(...changes.map(({ aggregateId }) => aggregateId));
        position = changes.at(-1) ?? position;
        if (followed.length >= committed.length) break;
      }
      expect(new Set(followed)).toEqual(new Set(committed));
      expect(followed).toHaveLength(committed.length);
      expect(acknowledged.difference(new Set(followed)).size).toBe(0);
    }
    expect(acknowledged.size).toBeGreaterThan(250);
  });
});
