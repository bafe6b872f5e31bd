import { readFileSync } from "node:fs";

/** The version of this package, as its package.json says it. */
export function registryVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { readonly version: string };
  return manifest.version;
}
