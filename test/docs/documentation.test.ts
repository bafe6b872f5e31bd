/** The tables of docs/ against the code, both ways: nothing is missing, and nothing stands there that is not in the code. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { serverDefaults } from "@protoloom/mesh";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** The rows of all tables below a heading: their cells, without the quotes of code. */
function rows(page: string, heading: string): readonly (readonly string[])[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? "";
  return [...section.matchAll(/^\| (`.*) \|$/gm)].map(([, row = ""]) =>
    row.split(" | ").map((cell) => cell.replaceAll("`", "").trim()),
  );
}

describe("docs/errors.md", () => {
  const page = read("docs/errors.md");
  const files = globSync("proto/*/v1/reason.proto", { cwd: root });

  test.for(files.map((file) => [file]))("lists every reason of %s with its code and meaning, and no other", ([file = ""]) => {
    const source = read(file);
    const domain = /^package (.*);$/m.exec(source)?.[1] ?? "";
    const reasons = [...source.matchAll(/((?: {2}\/\/ .*\n)+) {2}([A-Z_]+) = (\d+);/g)].filter(
      ([, , , number]) => number !== "0",
    );
    const wanted = reasons.map(([, comment = "", reason]) => {
      const [, code, meaning] =
        /^([A-Z_]+): ([^]*)\.$/.exec(
          comment
            .replaceAll(/^ {2}\/\/ /gm, "")
            .replaceAll("\n", " ")
            .trim(),
        ) ?? [];
      return [reason, code, meaning];
    });
    expect(wanted.length).toBeGreaterThan(0);
    expect(rows(page, domain)).toEqual(wanted);
  });

  test("has a section for every domain, and no other", () => {
    const domains = files.map((file) => /^package (.*);$/m.exec(read(file))?.[1]);
    const sections = [...page.matchAll(/^## ([\w.]+\.v\d+)$/gm)].map(([, domain]) => domain);
    expect(new Set(sections)).toEqual(new Set(domains));
  });
});

describe("docs/configuration.md", () => {
  const page = read("docs/configuration.md");
  const documented = new Set([...page.matchAll(/^\| `([A-Z][A-Z_]+)` \|/gm)].map(([, name]) => name));

  test("names every setting that the processes read, and no other", () => {
    const sources = globSync("{packages,services}/*/src/**/*.ts", {
      cwd: root,
      exclude: ["**/*.test.ts", "packages/testing/**"],
    });
    const found = new Set<string>();
    for (const file of sources) {
      for (const [, name = ""] of read(file).matchAll(/"((?:MESH_|CONSUL_|DATABASE_|NO_COLOR)[A-Z_]*)"/g)) found.add(name);
    }
    expect(documented).toEqual(found);
  });

  test("has the defaults of the edge and of the registry", () => {
    const edge = new Map(rows(page, "The edge").map(([name = "", value = ""]) => [name, value]));
    const source = read("packages/edge/src/http/limits.ts");
    for (const [name, key] of Object.entries({
      MESH_EDGE_MAX_BODY_BYTES: "maxBodyBytes",
      MESH_EDGE_MAX_HEADER_BYTES: "maxHeaderBytes",
      MESH_EDGE_MAX_URL_BYTES: "maxUrlBytes",
      MESH_EDGE_HEADERS_TIMEOUT_MS: "headersTimeoutMs",
      MESH_EDGE_REQUEST_TIMEOUT_MS: "requestTimeoutMs",
      MESH_EDGE_KEEP_ALIVE_TIMEOUT_MS: "keepAliveTimeoutMs",
      MESH_EDGE_STALL_TIMEOUT_MS: "stallTimeoutMs",
      MESH_EDGE_MAX_STREAMS: "maxStreams",
    })) {
      const [, value = ""] = new RegExp(`^ {2}${key}: ([\\d_]+),$`, "m").exec(source) ?? [];
      expect(edge.get(name), name).toBe(value.replaceAll("_", ""));
    }
    expect(edge.get("MESH_EDGE_HOST")).toBe(`MESH_LISTEN_HOST, or ${serverDefaults.listenHost}`);
  });
});
