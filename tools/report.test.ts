import { describe, expect, test } from "vitest";
import { countChecks, countTests, type TestReport } from "./report.ts";

const report = (...statuses: string[]): TestReport => ({
  testResults: [
    {
      name: "x.test.ts",
      status: "passed",
      assertionResults: statuses.map((status, index) => ({ status, fullName: `t${index}` })),
    },
  ],
});

describe("the report of .ci/run", () => {
  test("counts what passed", () => {
    expect(countTests(report("passed", "passed"), 0)).toEqual({ passed: 2, failures: [] });
    expect(countChecks({ passed: ["a", "b"], failed: [] }, 0)).toEqual({ passed: 2, failures: [] });
  });

  test("takes a failed and a skipped test for failures", () => {
    const { passed, failures } = countTests(report("passed", "failed", "skipped", "pending", "todo"), 1);
    expect(passed).toBe(1);
    expect(failures).toHaveLength(4);
    expect(failures[0]).toMatch(/^test failed: .*x\.test\.ts: t1$/);
    expect(failures[1]).toMatch(/^test skipped: .*x\.test\.ts: t2$/);
  });

  test("takes a file that cannot be loaded, no test at all, and a bad exit code for failures", () => {
    const broken = { testResults: [{ name: "x.test.ts", status: "failed", assertionResults: [] }] };
    expect(countTests(broken, 1).failures).toEqual([expect.stringMatching(/^test file failed: /)]);
    expect(countTests(undefined, 0).failures).toEqual(["npm test ran no test"]);
    expect(countTests(report("passed"), 1).failures).toEqual(["npm test ended with 1"]);
    expect(countChecks(undefined, 2).failures).toEqual(["npm run check ended with 2"]);
    expect(countChecks({ passed: [], failed: ["types"] }, 1).failures).toEqual(["check failed: types"]);
  });
});
