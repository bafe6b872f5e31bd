/**
 * Builds the pinned real servers and test clients that npm does not bring: Go tools into `.tools/bin`, and Python's gRPC
 * into `.tools/python`: `node tools/build-tools.mjs [grpcurl] [consul] [python]`, by default all. What was built from the
 * same pins stays as it is. Needs Go, and Python for the last; plain JavaScript, for Node 20 and newer.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildPython } from "./build-python.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = join(root, ".tools/bin");

/** Each tool: the folder of its Go module, the main package, and the module that its version comes from. */
const tools = {
  grpcurl: {
    folder: "tools/grpc",
    main: "github.com/fullstorydev/grpcurl/cmd/grpcurl",
    version: "github.com/fullstorydev/grpcurl",
    variable: "main.version",
  },
  consul: {
    folder: "tools/consul",
    main: "github.com/hashicorp/consul",
    version: "github.com/hashicorp/consul",
    variable: "github.com/hashicorp/consul/version.GitDescribe",
  },
};

function build(name) {
  const { folder, main, version, variable } = tools[name];
  const cwd = join(root, folder);
  const [goMod, goSum] = ["go.mod", "go.sum"].map((file) => readFileSync(join(cwd, file), "utf8"));
  const pinned = goMod
    .split("\n")
    .map((line) => line.trim().split(" "))
    .find(([module]) => module === version)?.[1];
  if (pinned === undefined) throw new Error(`${folder}/go.mod does not pin ${version}`);
  const flags = ["-trimpath", "-mod=readonly", "-buildvcs=false", "-ldflags", `-s -w -X ${variable}=${pinned}`];

  const stamp = join(bin, `.${name}`);
  const hash = createHash("sha256")
    .update([goMod, goSum, ...flags].join("\n"))
    .digest("hex");
  if (existsSync(join(bin, name)) && existsSync(stamp) && readFileSync(stamp, "utf8") === hash) {
    console.log(`${name} ${pinned}: already built`);
    return true;
  }
  console.log(`${name} ${pinned}: building`);
  const started = performance.now();
  const { status, error } = spawnSync("go", ["build", ...flags, "-o", join(bin, name), main], {
    cwd,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (status !== 0) {
    console.error(
      error?.code === "ENOENT" ? `${name}: Go is needed to build it, and is not on PATH` : `${name}: go build failed`,
    );
    return false;
  }
  writeFileSync(stamp, hash);
  console.log(`${name} ${pinned}: built in ${Math.round((performance.now() - started) / 1000)} s`);
  return true;
}

mkdirSync(bin, { recursive: true });
const known = [...Object.keys(tools), "python"];
const names = process.argv.length > 2 ? process.argv.slice(2) : known;
for (const name of names) {
  if (!known.includes(name)) throw new Error(`no tool is called ${name}, there are: ${known.join(", ")}`);
}
process.exitCode = names.map((name) => (name === "python" ? buildPython(root) : build(name))).every(Boolean) ? 0 : 1;
