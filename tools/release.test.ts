import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { breakingArguments, lastRelease, release } from "./release.ts";

const root = resolve(import.meta.dirname, "..");
let scratch = "";

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "protoloom-release-"));
  for (const path of ["buf.yaml", "proto", "test/fixture/proto", "third_party"]) {
    cpSync(join(root, path), join(scratch, path), { recursive: true });
  }
  rmSync(join(scratch, "proto/released"), { recursive: true, force: true });
  setVersion("0.1.0");
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function setVersion(version: string): void {
  cpSync(join(root, "gen/contracts/package.json"), join(scratch, "gen/contracts/package.json"));
  writeFileSync(join(scratch, "gen/contracts/package.json"), JSON.stringify({ version }));
}

function edit(path: string, from: string, to: string): void {
  const text = readFileSync(join(scratch, path), "utf8");
  expect(text).toContain(from);
  writeFileSync(join(scratch, path), text.replace(from, to));
}

/** What `npm run check` finds: the changes that break the last release. */
function findings(): string {
  const last = lastRelease(scratch);
  return last === undefined ? "" : spawnSync("buf", breakingArguments(last), { cwd: scratch, encoding: "utf8" }).stdout;
}

describe("the released contract", () => {
  test("is written under its version, and a version is released once", () => {
    expect(lastRelease(scratch)).toBeUndefined();
    expect(release(scratch)).toEqual({ version: "0.1.0", path: "proto/released/contracts-0.1.0.binpb" });
    expect(lastRelease(scratch)?.version).toBe("0.1.0");
    expect(findings()).toBe("");
    expect(() => release(scratch)).toThrow("version 0.1.0 of gen/contracts/package.json is not after 0.1.0");
  });

  test("is broken by a renamed field and a removed file, and by no addition and no change of a policy", () => {
    release(scratch);
    edit("proto/user/v1/user.proto", "message User {", "message Added {}\n\nmessage User {");
    edit("proto/protoloom/v1/policy.proto", "package protoloom.v1;", "package protoloom.v1;\n\nmessage Added {}");
    expect(findings()).toBe("");
    edit("proto/user/v1/user.proto", "string email = ", "string mail = ");
    expect(findings()).toContain('changed name from "email" to "mail"');
    rmSync(join(scratch, "proto/product"), { recursive: true });
    expect(findings()).toContain('"product/v1/product_service.proto" was deleted');
  });

  test("is replaced by one that breaks it only under a version that may", () => {
    release(scratch);
    edit("proto/user/v1/user.proto", "string email = ", "string mail = ");
    setVersion("0.1.1");
    expect(() => release(scratch)).toThrow("0.1.1 breaks 0.1.0");
    expect(lastRelease(scratch)?.version).toBe("0.1.0");
    setVersion("0.2.0");
    expect(release(scratch).path).toBe("proto/released/contracts-0.2.0.binpb");
    expect(lastRelease(scratch)?.version).toBe("0.2.0");
    expect(findings()).toBe("");
  });
});
