import { defineConfig } from "vitest/config";

const ci = process.env["CI"] !== undefined;

export default defineConfig({
  test: {
    globalSetup: ["tools/vitest-setup.ts"],
    // Tests run on Node's own type stripping, like everything else here.
    experimental: { viteModuleRunner: false },
    // .ci/run reads the report: there, nothing may be skipped.
    reporters: ci ? ["default", ["json", { outputFile: ".cache/vitest.json" }]] : ["default"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["packages/**/src/**/*.test.ts", "services/**/src/**/*.test.ts", "tools/**/*.test.ts"],
          testTimeout: 10_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          // Each file starts processes of its own and measures times: one after the other.
          include: ["test/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
