import { execFile } from "node:child_process";
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");

/** Each case is one file: the rule that has to fire on it (none if it is right), its path, and its text. */
type Case = readonly [rule: string | undefined, path: string, text: string];

const rules: readonly Case[] = [
  ["eqeqeq", "packages/mesh/src/base/case.ts", "export const same = (a: number, b: number): boolean => a == b;"],
  ["no-var", "packages/mesh/src/base/case.ts", "export var count = 1;"],
  ["prefer-const", "packages/mesh/src/base/case.ts", "let one = 1;\nexport const two = (): number => one + 1;"],
  [
    "no-fallthrough",
    "packages/mesh/src/base/case.ts",
    "export function f(a: number): void {\n  switch (a) {\n    case 1:\n      f(2);\n    default:\n      f(3);\n  }\n}",
  ],
  ["no-cycle", "packages/mesh/src/base/case.ts", 'import { b } from "./other.ts";\nexport const a = (): number => b();'],
  ["no-default-export", "packages/mesh/src/base/case.ts", "export default 1;"],
  ["no-process-env", "packages/mesh/src/base/case.ts", 'export const home = (): string | undefined => process.env["HOME"];'],
  ["no-process-env", "services/user/src/config.ts", "export const config = (): object => process.env;"],
  [undefined, "services/user/src/main.ts", 'export const home = (): string | undefined => process.env["HOME"];'],
  [
    "no-restricted-imports",
    "packages/mesh/src/base/case.ts",
    'import { env } from "node:process";\nexport const home = (): string | undefined => env["HOME"];',
  ],
  ["await-thenable", "packages/mesh/src/base/case.ts", "export const f = async (a: number): Promise<number> => await a;"],
  [
    "consistent-type-imports",
    "packages/edge/src/case.ts",
    'import { Server } from "node:http";\nexport const f = (a: Server): boolean => a.listening;',
  ],
  ["no-explicit-any", "packages/mesh/src/base/case.ts", "export const f = (a: any): void => void a;"],
  [
    "no-floating-promises",
    "packages/mesh/src/base/case.ts",
    "export const f = (): void => {\n  Promise.resolve(1).then(() => 2);\n};",
  ],
  ["no-misused-promises", "packages/mesh/src/base/case.ts", "export const f = (a: Promise<boolean>): number => (a ? 1 : 2);"],
  ["no-namespace", "packages/mesh/src/base/case.ts", "export declare namespace A {\n  const b: number;\n}"],
  ["no-non-null-assertion", "packages/mesh/src/base/case.ts", "export const f = (a?: string): string => a!;"],
  ["only-throw-error", "packages/mesh/src/base/case.ts", 'export const f = (): never => {\n  throw "no";\n};'],
  [
    "prefer-promise-reject-errors",
    "packages/mesh/src/base/case.ts",
    'export const f = (): Promise<never> => Promise.reject("no");',
  ],
  [
    "return-await",
    "packages/mesh/src/base/case.ts",
    "export async function f(a: () => Promise<number>): Promise<number> {\n  try {\n    return a();\n  } catch {\n    return 0;\n  }\n}",
  ],
  [
    "switch-exhaustiveness-check",
    "packages/mesh/src/base/case.ts",
    'export function f(a: "b" | "c"): void {\n  switch (a) {\n    case "b":\n      f("c");\n  }\n}',
  ],
  ["prefer-node-protocol", "packages/mesh/src/base/case.ts", 'export { readFileSync } from "fs";'],
  ["no-export-all", "packages/mesh/src/base/case.ts", 'export * from "./other.ts";'],
];

/** An import that is wrong, or right (undefined), from a file. */
type Import = readonly [message: RegExp | undefined, path: string, specifier: string];

const imports: readonly Import[] = [
  // The packages.
  [/may not import @protoloom\/contracts/, "packages/mesh/src/base/case.ts", "@protoloom/contracts"],
  [/may not import @protoloom\/contracts/, "packages/edge/src/case.ts", "@protoloom/contracts/user/v1"],
  [/may not import @protoloom\/edge/, "packages/mesh/src/rpc/case.ts", "@protoloom/edge"],
  [/may not import @protoloom\/mesh/, "packages/mesh/src/rpc/case.ts", "@protoloom/mesh"],
  [/may not import @protoloom\/edge/, "packages/registry/src/case.ts", "@protoloom/edge"],
  [/may not import @protoloom\/registry/, "packages/testing/src/case.ts", "@protoloom/registry"],
  [/may not import @protoloom\/product/, "services/user/src/case.ts", "@protoloom/product"],
  [/may not import @protoloom\/testing/, "services/user/src/case.ts", "@protoloom/testing"],
  [/may not import @protoloom\/user/, "test/e2e/case.test.ts", "@protoloom/user"],
  [/may not import @protoloom\/mesh/, "tools/case.ts", "@protoloom/mesh"],
  [/may not import @protoloom\/contracts/, "test/fixture/src/case.ts", "@protoloom/contracts"],
  [/reaches into services\/product/, "services/user/src/case.ts", "../../product/src/main.ts"],
  [/reaches into packages\/mesh/, "packages/edge/src/case.ts", "../../mesh/src/index.ts"],
  [/reaches into tools/, "packages/edge/src/case.ts", "../../../tools/parts.ts"],
  [/only tests import/, "packages/edge/src/case.ts", "./test-servers/fixture.ts"],
  [undefined, "packages/edge/src/case.test.ts", "./test-servers/fixture.ts"],
  [undefined, "packages/edge/src/test-servers/case.ts", "@protoloom/fixture"],
  [undefined, "packages/edge/src/case.ts", "@protoloom/mesh"],
  [undefined, "services/user/src/case.ts", "@protoloom/contracts"],
  [undefined, "services/user/src/case.test.ts", "@protoloom/testing"],
  [undefined, "packages/edge/src/case.test.ts", "@protoloom/fixture"],
  [undefined, "packages/edge/src/case.test.ts", "../../../tools/parts.ts"],
  [undefined, "test/e2e/case.test.ts", "@protoloom/cli"],
  // The layers of the mesh.
  [/base\/ is below rpc\//, "packages/mesh/src/base/case.ts", "../rpc/channel.ts"],
  [/contract\/ and consul\/ are siblings/, "packages/mesh/src/contract/case.ts", "../consul/client.ts"],
  [/consul\/ is below discovery\//, "packages/mesh/src/consul/case.ts", "../discovery/resolver.ts"],
  [/discovery\/ and balancing\/ are siblings/, "packages/mesh/src/discovery/case.ts", "../balancing/picker.ts"],
  [/data\/ is below events\//, "packages/mesh/src/data/case.ts", "../events/outbox.ts"],
  [/rpc\/ is below server\//, "packages/mesh/src/rpc/case.ts", "../server/serve.ts"],
  [/server\/ and client\/ are siblings/, "packages/mesh/src/server/case.ts", "../client/client.ts"],
  [/misc is in no layer/, "packages/mesh/src/misc/case.ts", "../base/code.ts"],
  [/imports a file above the layers/, "packages/mesh/src/base/case.ts", "../index.ts"],
  [undefined, "packages/mesh/src/server/case.ts", "../base/code.ts"],
  [undefined, "packages/mesh/src/server/deep/case.ts", "../../rpc/channel.ts"],
  [undefined, "packages/mesh/src/rpc/case.test.ts", "../server/serve.ts"],
  // Modules that one folder owns.
  [/may name @grpc\/grpc-js/, "packages/mesh/src/client/case.ts", "@grpc/grpc-js"],
  [/may name consul/, "packages/mesh/src/discovery/case.ts", "consul"],
  [/may name pg/, "packages/mesh/src/base/case.ts", "pg"],
  [/may name node:sqlite/, "services/user/src/case.ts", "node:sqlite"],
  [undefined, "packages/mesh/src/rpc/case.ts", "@grpc/grpc-js"],
  [undefined, "packages/mesh/src/data/case.ts", "pg"],
  [undefined, "packages/mesh/src/data/case.ts", "node:sqlite"],
  // Dependencies that nobody declares.
  [/vitest is not a dependency/, "packages/mesh/src/base/case.ts", "vitest"],
  [/kysely is not a dependency/, "packages/edge/src/case.ts", "kysely"],
  [/left-pad is not a dependency/, "test/e2e/case.test.ts", "left-pad/index"],
  [undefined, "packages/mesh/src/base/case.test.ts", "vitest"],
  [undefined, "packages/edge/src/case.ts", "@connectrpc/connect/protocol"],
];

interface Diagnostic {
  readonly message: string;
  readonly code: string;
  readonly filename: string;
}

let scratch = "";
let found: ReadonlyMap<string, readonly Diagnostic[]> = new Map();

/** Every case has a folder of its own, so that one run of oxlint judges them all. */
const caseFile = (index: number, path: string): string => path.replace(/[^/]+$/, (name) => name.replace("case", `case${index}`));

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "protoloom-lint-"));
  for (const path of [
    ".oxlintrc.json",
    "tsconfig.json",
    "tools/lint",
    ...globSync("{.,*/*,tools/*}/package.json", { cwd: root }),
  ]) {
    if (!path.includes("node_modules")) cpSync(join(root, path), join(scratch, path), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"));
  const write = (path: string, text: string): string => {
    mkdirSync(dirname(join(scratch, path)), { recursive: true });
    writeFileSync(join(scratch, path), `${text}\n`);
    return path;
  };
  write("packages/mesh/src/base/other.ts", 'import { a } from "./case4.ts";\nexport const b = (): number => a();');
  const files = [
    ...rules.map(([, path, text], index) => write(caseFile(index, path), text)),
    ...imports.map(([, path, specifier], index) =>
      write(caseFile(rules.length + index, path), `export type { A } from "${specifier}";\nimport "${specifier}";`),
    ),
  ];
  const { promise, resolve: done } = Promise.withResolvers<string>();
  execFile(
    join(root, "node_modules/.bin/oxlint"),
    ["--format=json", ...files],
    { cwd: scratch, maxBuffer: 64 << 20 },
    (_, stdout) => done(stdout),
  );
  const { diagnostics } = JSON.parse(await promise) as { diagnostics: Diagnostic[] };
  found = Map.groupBy(diagnostics, ({ filename }) => filename);
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("each rule fires", () => {
  test.each(rules.map((entry, index) => ({ rule: entry[0], path: entry[1], file: caseFile(index, entry[1]) })))(
    "$rule in $path",
    ({ rule, file }) => {
      const codes = (found.get(file) ?? []).map(({ code }) => /\(([^)]+)\)/.exec(code)?.[1]);
      if (rule === undefined) expect(codes).toEqual([]);
      else expect(codes).toContain(rule);
    },
  );

  test("and no rule of .oxlintrc.json is without a case", () => {
    const config = JSON.parse(readFileSync(join(root, ".oxlintrc.json"), "utf8")) as { rules: Record<string, unknown> };
    const active = Object.entries(config.rules).filter(([, level]) => level !== "off");
    const names = active.map(([name]) => name.split("/").at(-1)).filter((name) => name !== "imports");
    expect(new Set(rules.flatMap(([rule]) => rule ?? []))).toEqual(new Set(names));
  });
});

describe("imports point one way", () => {
  test.each(
    imports.map((entry, index) => ({
      message: entry[0],
      path: entry[1],
      specifier: entry[2],
      file: caseFile(rules.length + index, entry[1]),
    })),
  )("$path imports $specifier: $message", ({ message, file }) => {
    const messages = (found.get(file) ?? [])
      .filter(({ code }) => code === "protoloom(imports)")
      .map((diagnostic) => diagnostic.message);
    if (message === undefined) expect(messages).toEqual([]);
    // Both forms of import in the file.
    else expect(messages).toEqual([expect.stringMatching(message), expect.stringMatching(message)]);
  });
});
