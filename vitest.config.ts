import { defineConfig } from "vitest/config";

const ci = process.env["CI"] !== undefined;

export default defineConfig({
  test: {
    globalSetup: ["tools/vitest-setup.ts"],
    // Tests run on Node's own type stripping, like everything else here.
    experimental: { viteModuleRunner: false },
    // .ci/run reads the report: there, nothing may be skipped.
    reporters: ci ? ["default", ["json", { outputFile: process.env["TEST_REPORT"] ?? ".cache/vitest.json" }]] : ["default"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["packages/**/src/**/*.test.ts", "services/**/src/**/*.test.ts", "tools/**/*.test.ts"],
          testTimeout: 20_000,
          hookTimeout: 30_000,
          // Most of the time of these tests is spent waiting: more of them than cores at once still leave the cores idle.
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          // Each file starts processes of its own and measures times: one after the other.
          include: ["test/**/*.test.ts"],
          exclude: ["test/faults/**"],
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: "faults",
          // Minutes of load on processes that are killed: only on request, and in .ci/run.
          include: ["test/faults/**/*.test.ts"],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
