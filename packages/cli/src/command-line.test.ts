import { expect, test } from "vitest";
import { helpText, parseCommandLine } from "./command-line.ts";

const defaults = {
  registry: undefined,
  instances: {},
  dataDir: undefined,
  readyFile: undefined,
  edgePort: 8080,
  demo: false,
  watch: false,
  log: "pretty",
};

test.for([
  [["up"], defaults],
  [["up", "--registry", "consul", "--watch"], { ...defaults, registry: "consul", watch: true }],
  [["up", "--demo"], { ...defaults, demo: true }],
  [["up", "--instances", "user=3", "--instances=product=2"], { ...defaults, instances: { user: 3, product: 2 } }],
  [["up", "--instances", "user=3,product=2"], { ...defaults, instances: { user: 3, product: 2 } }],
  [
    ["up", "--data-dir=d", "--ready-file=f", "--edge-port=9000", "--log=json"],
    { ...defaults, dataDir: "d", readyFile: "f", edgePort: 9000, log: "json" },
  ],
] as const)("%j is read", ([args, options]) => {
  expect(parseCommandLine(args)).toEqual({ kind: "up", options });
});

test.for([
  [[], "a command is missing"],
  [["down"], 'there is no command "down"'],
  [["up", "now"], '"now" is not understood'],
  [["up", "--bogus"], "'--bogus'"],
  [["up", "--registry", "etcd"], '--registry is "etcd", which is none of embedded, consul'],
  [["up", "--instances", "user"], '--instances takes NAME=N, not "user"'],
  [["up", "--instances", "order=2"], '--instances names "order"'],
  [["up", "--instances", "user=0"], '--instances user is "0"'],
  [["up", "--instances", "user=1e2"], '--instances user is "1e2"'],
  [["up", "--edge-port", "65536"], '--edge-port is "65536"'],
  [["up", "--log", "xml"], '--log is "xml"'],
  [["up", "--data-dir", ""], "--data-dir is empty"],
] as const)("%j is refused with the reason", ([args, reason]) => {
  const command = parseCommandLine(args);
  expect(command.kind).toBe("usage-error");
  expect(command).toHaveProperty("message", expect.stringContaining(reason));
});

test("help and version are commands and options", () => {
  for (const args of [["help"], ["--help"], ["up", "--help"], ["-h"]]) expect(parseCommandLine(args)).toEqual({ kind: "help" });
  for (const args of [["version"], ["--version"]]) expect(parseCommandLine(args)).toEqual({ kind: "version" });
});

test("the help names every option that up takes", () => {
  for (const name of [
    "registry",
    "instances",
    "data-dir",
    "edge-port",
    "demo",
    "ready-file",
    "watch",
    "log",
    "help",
    "version",
  ]) {
    expect(helpText).toContain(`--${name}`);
  }
});
