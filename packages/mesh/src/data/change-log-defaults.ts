/** How long changes are kept. */
export const changeLogDefaults = {
  /** How long a change is kept at least, in ms: 7 days. */
  retentionMs: 604_800_000,
  /** How often older ones are removed, in ms: 10 minutes. */
  pruneIntervalMs: 600_000,
} as const;
