/** Values of the environment by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads settings and collects every problem, so that a process says all of them at once. An empty value is no value. */
export interface EnvReader {
  text(name: string, fallback: string): string;
  optionalText(name: string): string | undefined;
  /** A whole number from `min` to `max`. */
  integer(name: string, fallback: number, limits: { readonly min: number; readonly max: number }): number;
  /** A TCP port; 0 takes a free one. */
  port(name: string, fallback: number): number;
  choice<const T extends string>(name: string, fallback: T, choices: readonly T[]): T;
  /** An http or https URL; a bare `host:port` is http, as for Consul's own tools. */
  url(name: string, fallback: string): string;
  /** Adds a problem that only the caller can see. */
  problem(text: string): void;
  /** Throws one error that lists every problem, or returns. */
  finish(): void;
}

/** Reads from `env`, in the manner of EnvReader. */
export function createEnvReader(env: Environment): EnvReader {
  const problems: string[] = [];
  const read = (name: string): string | undefined => (env[name] === "" ? undefined : env[name]);
  const integer: EnvReader["integer"] = (name, fallback, { min, max }) => {
    const text = read(name);
    if (text === undefined) return fallback;
    const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    problems.push(`${name} is "${text}", which is no whole number from ${min} to ${max}`);
    return fallback;
  };
  return {
    text: (name, fallback) => read(name) ?? fallback,
    optionalText: read,
    integer,
    port: (name, fallback) => integer(name, fallback, { min: 0, max: 65_535 }),
    choice(name, fallback, choices) {
      const text = read(name);
      if (text === undefined) return fallback;
      const found = choices.find((choice) => choice === text);
      if (found === undefined) problems.push(`${name} is "${text}", which is none of ${choices.join(", ")}`);
      return found ?? fallback;
    },
    url(name, fallback) {
      const text = read(name) ?? fallback;
      const full = text.includes("://") ? text : `http://${text}`;
      if (URL.canParse(full) && /^https?:$/.test(new URL(full).protocol)) return new URL(full).origin;
      problems.push(`${name} is "${text}", which is no http or https URL`);
      return fallback;
    },
    problem: (text) => problems.push(text),
    finish() {
      if (problems.length > 0)
        throw new Error(`the configuration has ${problems.length} problem(s):\n  ${problems.join("\n  ")}`);
    },
  };
}
