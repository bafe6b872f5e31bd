import type { EnvReader } from "../base/env-reader.ts";
import { changeLogDefaults } from "./change-log-defaults.ts";

/** From a minute to a year. */
const retentionLimits = { min: 60_000, max: 31_536_000_000 } as const;

/** Where a service keeps its data. */
export interface DatabaseConfig {
  /** `postgres://` URL. DATABASE_URL, default: none, and then SQLite. */
  readonly url: string | undefined;
  /** Folder of the SQLite files. MESH_DATA_DIR, default `.data`. */
  readonly dataDir: string;
  /** How long the change log keeps a change at least, in ms. MESH_CHANGE_LOG_RETENTION_MS, default 7 days. */
  readonly changeLogRetentionMs?: number;
}

/** Reads where the data is kept. Problems go to the reader; they do not show the URL, which may hold a password. */
export function readDatabaseConfig(reader: EnvReader): DatabaseConfig {
  const url = reader.optionalText("DATABASE_URL");
  if (url !== undefined && !isPostgresUrl(url)) reader.problem("DATABASE_URL is no postgres:// URL");
  return Object.freeze({
    url,
    dataDir: reader.text("MESH_DATA_DIR", ".data"),
    changeLogRetentionMs: reader.integer("MESH_CHANGE_LOG_RETENTION_MS", changeLogDefaults.retentionMs, retentionLimits),
  });
}

function isPostgresUrl(text: string): boolean {
  return URL.canParse(text) && ["postgres:", "postgresql:"].includes(new URL(text).protocol);
}
