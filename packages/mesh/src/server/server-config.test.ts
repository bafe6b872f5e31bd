import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { createEnvReader } from "../base/env-reader.ts";
import type { EnvReader } from "../base/env-reader.ts";
import { readServerConfig, serverDefaults } from "./server-config.ts";

function read(env: Record<string, string>, defaults?: { port: number }): ReturnType<typeof readServerConfig> {
  const reader = createEnvReader(env);
  const config = readServerConfig(reader, defaults);
  reader.finish();
  return config;
}

/** The rows of the table in docs/configuration.md: name and default. */
function documented(): ReadonlyMap<string, string> {
  const page = readFileSync(resolve(import.meta.dirname, "../../../../docs/configuration.md"), "utf8");
  const section = page.split("\n## ").find((part) => part.startsWith("Every service"));
  return new Map([...(section ?? "").matchAll(/^\| `(\w+)` \| (.*?) \|/gm)].map(([, name = "", value = ""]) => [name, value]));
}

test("docs/configuration.md names every setting with its default, and no other", () => {
  const asked = new Map<string, string>();
  const reader = createEnvReader({});
  const spy: EnvReader = {
    ...reader,
    text: (name, fallback) => (asked.set(name, fallback), reader.text(name, fallback)),
    optionalText: (name) => (asked.set(name, ""), reader.optionalText(name)),
    integer: (name, fallback, limits) => (asked.set(name, String(fallback)), reader.integer(name, fallback, limits)),
    port: (name, fallback) => (asked.set(name, String(fallback)), reader.port(name, fallback)),
  };
  readServerConfig(spy);
  asked.set("MESH_LOG_LEVEL", "info"); // Read by runService.
  asked.set("MESH_ADVERTISE_HOST", "the listen host");
  const rows = documented();
  const shown = [...rows].map(([name, value]) => [name, value === "none" ? "" : value.replaceAll("`", "")]);
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(asked));
});

describe("the configuration of a server", () => {
  test("has a default for everything", () => {
    expect(read({})).toEqual({
      ...serverDefaults,
      listenPort: 0,
      advertiseHost: "127.0.0.1",
      advertisePort: 0,
      adminPort: 0,
    });
    expect(read({}, { port: 50_051 }).listenPort).toBe(50_051);
  });

  test("takes what the environment says", () => {
    const env = {
      MESH_LISTEN_HOST: "0.0.0.0",
      MESH_LISTEN_PORT: "7000",
      MESH_ADVERTISE_HOST: "[fd00::1]",
      MESH_ADVERTISE_PORT: "7001",
      MESH_ADMIN_PORT: "7002",
      MESH_ZONE: "eu-1a",
      MESH_READY_FILE: "/run/ready",
      MESH_MAX_MESSAGE_BYTES: "2048",
    };
    expect(read(env)).toMatchObject({
      listenHost: "0.0.0.0",
      listenPort: 7_000,
      advertiseHost: "fd00::1",
      advertisePort: 7_001,
      adminPort: 7_002,
      zone: "eu-1a",
      readyFile: "/run/ready",
      maxMessageBytes: 2_048,
    });
  });

  test("shortens the notice with a short drain", () => {
    expect(read({ MESH_DRAIN_TIMEOUT_MS: "600" }).drainNoticeMs).toBe(300);
  });

  test.each([
    [{ MESH_LISTEN_HOST: "0.0.0.0" }, /MESH_ADVERTISE_HOST is "0.0.0.0", which others cannot call/],
    [{ MESH_LISTEN_HOST: "[::]" }, /MESH_ADVERTISE_HOST is "::"/],
    [{ MESH_ADVERTISE_HOST: "::" }, /MESH_ADVERTISE_HOST is "::"/],
    [{ MESH_LISTEN_HOST: "a b" }, /MESH_LISTEN_HOST is "a b"/],
    [{ MESH_LISTEN_HOST: "http://x" }, /MESH_LISTEN_HOST is "http:\/\/x"/],
    [{ MESH_LISTEN_PORT: "70000" }, /MESH_LISTEN_PORT is "70000"/],
    [{ MESH_LISTEN_PORT: "7000", MESH_ADMIN_PORT: "7000" }, /MESH_ADMIN_PORT and MESH_LISTEN_PORT are both 7000/],
    [{ MESH_DRAIN_TIMEOUT_MS: "500", MESH_DRAIN_NOTICE_MS: "500" }, /leaves nothing of MESH_DRAIN_TIMEOUT_MS, 500/],
    [{ MESH_DRAIN_TIMEOUT_MS: "soon" }, /MESH_DRAIN_TIMEOUT_MS is "soon"/],
  ])("%o is refused", (env: Record<string, string>, message) => expect(() => read(env)).toThrow(message));

  test("reports all problems at once", () => {
    expect(() => read({ MESH_LISTEN_HOST: "::", MESH_LISTEN_PORT: "x", MESH_ADMIN_PORT: "-1" })).toThrow(/3 problem\(s\)/);
  });
});
