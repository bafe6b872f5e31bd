import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createEnvReader } from "@protoloom/mesh";
import type { EnvReader, Environment } from "@protoloom/mesh";
import { expect, test } from "vitest";
import { readEdgeConfig } from "./edge-config.ts";
import type { EdgeConfig } from "./edge-config.ts";

function read(env: Environment): EdgeConfig {
  const reader = createEnvReader(env);
  const config = readEdgeConfig(reader);
  reader.finish();
  return config;
}

test("docs/configuration.md names every setting of the edge with its default, and no other", () => {
  const asked = new Map<string, string>();
  const reader = createEnvReader({});
  const spy: EnvReader = {
    ...reader,
    text: (name, fallback) => (asked.set(name, fallback), reader.text(name, fallback)),
    optionalText: (name) => (asked.set(name, ""), reader.optionalText(name)),
    integer: (name, fallback, limits) => (asked.set(name, String(fallback)), reader.integer(name, fallback, limits)),
    port: (name, fallback) => (asked.set(name, String(fallback)), reader.port(name, fallback)),
    choice: (name, fallback, choices) => (asked.set(name, fallback), reader.choice(name, fallback, choices)),
  };
  readEdgeConfig(spy);
  asked.set("MESH_LOG_LEVEL", "info"); // Read by main.
  for (const name of ["MESH_LISTEN_HOST", "MESH_LISTEN_PORT"]) asked.delete(name); // What the edge's own names fall back to.
  asked.set("MESH_EDGE_HOST", "MESH_LISTEN_HOST, or 127.0.0.1");
  asked.set("MESH_EDGE_PORT", "MESH_LISTEN_PORT, or 8080");
  asked.set("MESH_ADVERTISE_HOST", "the host that is listened on");
  const page = readFileSync(resolve(import.meta.dirname, "../../../docs/configuration.md"), "utf8");
  const section = page.split("\n## ").find((part) => part.startsWith("The edge"));
  const rows = [...(section ?? "").matchAll(/^\| `(\w+)` \| (.*?) \|/gm)];
  const shown = rows.map(([, name = "", value = ""]) => [name, value === "none" ? "" : value.replaceAll("`", "")]);
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(asked));
});

test("the edge listens where it is told to, by its own names first", () => {
  expect(read({})).toMatchObject({ host: "127.0.0.1", port: 8_080 });
  expect(read({ MESH_LISTEN_PORT: "1", MESH_LISTEN_HOST: "::1" })).toMatchObject({ host: "::1", port: 1 });
  expect(read({ MESH_LISTEN_PORT: "1", MESH_EDGE_PORT: "2" })).toMatchObject({ port: 2 });
});

test("lists are split at commas", () => {
  expect(read({ MESH_EDGE_EXPOSE: " a.B/C , d.E/* ,", MESH_EDGE_UNKNOWN_PARAMETERS: "ignore" })).toMatchObject({
    expose: ["a.B/C", "d.E/*"],
    ignoreUnknownParameters: true,
  });
});

test("every problem is in one message", () => {
  const env = { MESH_EDGE_PORT: "x", MESH_EDGE_MAX_STREAMS: "0", MESH_EDGE_HOST: "0.0.0.0", MESH_EDGE_REFLECTION: "maybe" };
  expect(() => read(env)).toThrow(
    /4 problem[^]*MESH_ADVERTISE_HOST[^]*MESH_EDGE_PORT[^]*MESH_EDGE_MAX_STREAMS[^]*MESH_EDGE_REFLECTION/,
  );
});
