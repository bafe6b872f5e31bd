import type { EnvReader } from "../base/env-reader.ts";

/** Where a service keeps its data. */
export interface DatabaseConfig {
  /** `postgres://` URL. DATABASE_URL, default: none, and then SQLite. */
  readonly url: string | undefined;
  /** Folder of the SQLite files. MESH_DATA_DIR, default `.data`. */
  readonly dataDir: string;
}

/** Reads where the data is kept. Problems go to the reader; they do not show the URL, which may hold a password. */
export function readDatabaseConfig(reader: EnvReader): DatabaseConfig {
  const url = reader.optionalText("DATABASE_URL");
  if (url !== undefined && !isPostgresUrl(url)) reader.problem("DATABASE_URL is no postgres:// URL");
  return Object.freeze({ url, dataDir: reader.text("MESH_DATA_DIR", ".data") });
}

function isPostgresUrl(text: string): boolean {
  return URL.canParse(text) && ["postgres:", "postgresql:"].includes(new URL(text).protocol);
}
