import { createEnvReader } from "@protoloom/mesh";
import type { Environment } from "@protoloom/mesh";
import { describe, expect, test } from "vitest";
import { readProductConfig } from "./config.ts";
import type { ProductConfig } from "./config.ts";

function read(env: Environment): ProductConfig {
  const reader = createEnvReader(env);
  const config = readProductConfig(reader);
  reader.finish();
  return config;
}

describe("the configuration of the product service", () => {
  test("has a default for everything", () => {
    const config = read({});
    expect(config.server).toMatchObject({ listenHost: "127.0.0.1", listenPort: 50052 });
    expect(config.mesh).toEqual({ registryUrl: "http://127.0.0.1:8500" });
    expect(config.database).toEqual({ url: undefined, dataDir: ".data", changeLogRetentionMs: 604_800_000 });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test("is read from the environment", () => {
    const url = "postgres://someone:secret@db.example/mesh";
    const config = read({
      DATABASE_URL: url,
      MESH_DATA_DIR: "/var/lib/mesh",
      MESH_CHANGE_LOG_RETENTION_MS: "86400000",
      MESH_LISTEN_PORT: "0",
      CONSUL_HTTP_ADDR: "consul:8500",
    });
    expect(config.database).toEqual({ url, dataDir: "/var/lib/mesh", changeLogRetentionMs: 86_400_000 });
    expect(config.server.listenPort).toBe(0);
    expect(config.mesh.registryUrl).toBe("http://consul:8500");
  });

  test("names all problems at once, and no password", () => {
    const wrong = (): unknown =>
      read({ DATABASE_URL: "mysql://someone:secret@db.example", MESH_LISTEN_PORT: "x", CONSUL_HTTP_ADDR: "ftp://x" });
    expect(wrong).toThrow(/3 problem\(s\)/);
    for (const name of ["DATABASE_URL", "MESH_LISTEN_PORT", "CONSUL_HTTP_ADDR"]) expect(wrong).toThrow(name);
    expect(wrong).not.toThrow(/secret/);
  });
});
