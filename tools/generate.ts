/**
 * Generates what `gen/` and `test/fixture/gen` hold. `node tools/generate.ts [root]`: into `root`, by default this
 * repository; `npm run check` gives a scratch folder and compares.
 */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";

const repository = resolve(import.meta.dirname, "..");

/** What is generated: the template, the paths of the protos, and the folder for the output. */
export const outputs: readonly { template: string; paths: readonly string[]; out: string }[] = [
  {
    template: "buf.gen.runtime.yaml",
    paths: ["proto/protoloom", "third_party/google", "third_party/grpc"],
    out: "gen/runtime/src",
  },
  { template: "buf.gen.yaml", paths: ["proto/user", "proto/product", "third_party/google/type"], out: "gen/contracts/src" },
  { template: "buf.gen.yaml", paths: ["test/fixture/proto/fixture"], out: "test/fixture/gen" },
];

/** Runs buf for every output, below `root`. What stood there before is removed. */
export function generate(root: string): void {
  for (const { template, paths, out } of outputs) {
    const folder = join(root, out);
    rmSync(folder, { recursive: true, force: true });
    execFileSync("buf", ["generate", "--template", template, "-o", folder, ...paths.flatMap((path) => ["--path", path])], {
      cwd: repository,
      stdio: "inherit",
    });
  }
}

if (import.meta.main) generate(resolve(process.argv[2] ?? repository));
