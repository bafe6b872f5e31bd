import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../../tools/parts.ts";
import { type Rig, callsPerSecond, instanceCount, startRig } from "./rig.ts";
import { rows } from "./rows.ts";
import { subjects } from "./subjects.ts";

/** Shorter than what docs/operations.md tells of, which `node test/faults/matrix.ts` measures. */
const times = { stoppedMs: 3_000, awayMs: 6_000 };
const env = { MESH_DRAIN_TIMEOUT_MS: "1500", MESH_DRAIN_NOTICE_MS: "500" };

for (const subject of subjects) {
  describeWith(subject.needs, `${callsPerSecond} calls a second to ${instanceCount} instances: ${subject.name}`, () => {
    let rig: Rig;
    beforeAll(async () => {
      rig = await startRig(subject, env);
    });
    afterAll(async () => rig[Symbol.asyncDispose]());

    test.for(rows)("$name costs no more than the matrix says", async (row) => {
      await rig.whole();
      const { problems, load, figures } = await row.run(rig, times);
      expect(problems, `${figures}; ${JSON.stringify(load.codes)}`).toEqual([]);
      expect(load.records.length).toBeGreaterThan(callsPerSecond);
    });
  });
}
