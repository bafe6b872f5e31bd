import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { type LockedPackage, missingPackages, platformOf } from "./lock.ts";

describe("the lock file", () => {
  const text = readFileSync(resolve(import.meta.dirname, "../package-lock.json"), "utf8");

  test("holds the packages of every platform, or npm ci refuses it: tools/lock.ts adds them", () => {
    const { packages } = JSON.parse(text) as { packages: Record<string, LockedPackage> };
    expect(missingPackages(packages)).toEqual({});
  });

  test("names no registry", () => {
    expect(text).not.toMatch(/"resolved": "\w+:\/\//);
  });

  test.each([
    ["@bufbuild/buf-darwin-arm64", { os: ["darwin"], cpu: ["arm64"] }],
    ["@bufbuild/buf-linux-armv7", { os: ["linux"], cpu: ["arm"] }],
    ["@oxfmt/binding-linux-arm-musleabihf", { os: ["linux"], cpu: ["arm"], libc: ["musl"] }],
    ["@oxfmt/binding-linux-x64-gnu", { os: ["linux"], cpu: ["x64"], libc: ["glibc"] }],
    ["@oxlint-tsgolint/win32-x64", { os: ["win32"], cpu: ["x64"] }],
    ["pg-native", undefined],
  ])("%s is for %j", (name, platform) => {
    expect(platformOf(name)).toEqual(platform);
  });

  test("gets what is missing at the version of its parent, and leaves ranges alone", () => {
    const optionalDependencies = { "a-linux-x64": "1.0.0", "a-darwin-x64": "1.0.0", "a-win32-x64": "^1.0.0" };
    const packages = { "node_modules/a": { dev: true, optionalDependencies }, "node_modules/a-linux-x64": {} };
    expect(missingPackages(packages)).toEqual({
      "node_modules/a-darwin-x64": { version: "1.0.0", dev: true, optional: true, os: ["darwin"], cpu: ["x64"] },
    });
  });
});
