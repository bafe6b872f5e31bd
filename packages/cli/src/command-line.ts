import { parseArgs } from "node:util";

/** Which registry a mesh runs on. */
export type RegistryChoice = "embedded" | "consul";

/** What `protoloom up` was asked for. */
export interface UpOptions {
  /** Undefined: the agent that CONSUL_HTTP_ADDR names, or else the embedded registry. */
  readonly registry: RegistryChoice | undefined;
  /** Number of instances by service; a service that is not named has one. */
  readonly instances: Readonly<Record<string, number>>;
  /** Undefined: `.data`, which holds what the services keep; a registry keeps nothing there unless it is asked to. */
  readonly dataDir: string | undefined;
  readonly readyFile: string | undefined;
  readonly edgePort: number;
  /** True: fill the mesh with demo data before it is said to be ready. */
  readonly demo: boolean;
  readonly watch: boolean;
  readonly log: "pretty" | "json";
}

/** What the command line asks for. */
export type Command =
  | { readonly kind: "up"; readonly options: UpOptions }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "usage-error"; readonly message: string };

/** Where the data is kept unless `--data-dir` says. */
export const defaultDataDir = ".data";

/** Services that `up` starts. */
export const serviceNames = ["user", "product"] as const;

/** The text of `protoloom --help`. */
export const helpText = `Usage: protoloom up [options]     (npm start -- [options])

Starts a registry, the services user and product, and the edge, each as a process of its own,
and stops them all on Ctrl-C.

Options:
  --registry NAME      embedded: the registry of this project (default)
                       consul: a Consul agent, from .tools/bin or PATH
                       With CONSUL_HTTP_ADDR set and no --registry embedded, that agent is used and none is started.
  --instances NAME=N   N instances of a service, such as user=3; may be repeated. More than one needs DATABASE_URL.
  --data-dir DIR       where the data is kept (default: .data); the registry's state too, else in memory
  --edge-port PORT     port of the edge (default: 8080)
  --demo               add 200 users and 1,000 products with stock, unless they are there
  --ready-file FILE    write the addresses there, as JSON, once all is ready
  --watch              start a process again when its sources or the generated code change (npm run dev)
  --log FORMAT         pretty (default), or json: the lines as the processes write them
  --help, --version

A default port that is taken is replaced by a free one: registry 8500, edge 8080, user 50051, product 50052.

Environment:
  DATABASE_URL         a PostgreSQL database; without it each service keeps an SQLite file in the data folder
  CONSUL_HTTP_ADDR     the address of a Consul agent that runs already
  NO_COLOR             no colours; they appear on a terminal only
  Everything else that docs/configuration.md lists is handed on to the processes.
`;

const maxInstances = 16;

class UsageError extends Error {}

/** Reads the arguments after the program's name. Never throws: what cannot be read is a `usage-error`. */
export function parseCommandLine(args: readonly string[]): Command {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        registry: { type: "string" },
        instances: { type: "string", multiple: true },
        "data-dir": { type: "string" },
        "edge-port": { type: "string" },
        "ready-file": { type: "string" },
        demo: { type: "boolean" },
        watch: { type: "boolean" },
        log: { type: "string" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean", short: "v" },
      },
    });
    if (values.help === true || positionals[0] === "help") return { kind: "help" };
    if (values.version === true || positionals[0] === "version") return { kind: "version" };
    const [command, ...rest] = positionals;
    if (command === undefined) throw new UsageError("a command is missing");
    if (command !== "up") throw new UsageError(`there is no command "${command}"`);
    if (rest.length > 0) throw new UsageError(`"${rest.join(" ")}" is not understood: up takes options only`);
    const options: UpOptions = {
      registry: values.registry === undefined ? undefined : choice("--registry", values.registry, ["embedded", "consul"]),
      instances: readInstances(values.instances ?? []),
      dataDir: values["data-dir"] === undefined ? undefined : notEmpty("--data-dir", values["data-dir"]),
      readyFile: values["ready-file"] === undefined ? undefined : notEmpty("--ready-file", values["ready-file"]),
      edgePort: wholeNumber("--edge-port", values["edge-port"] ?? "8080", { min: 1, max: 65_535 }),
      demo: values.demo ?? false,
      watch: values.watch ?? false,
      log: choice("--log", values.log ?? "pretty", ["pretty", "json"]),
    };
    return { kind: "up", options };
  } catch (error) {
    if (error instanceof UsageError || (error instanceof TypeError && "code" in error)) {
      return { kind: "usage-error", message: error.message };
    }
    throw error;
  }
}

function readInstances(texts: readonly string[]): Record<string, number> {
  const instances: Record<string, number> = {};
  for (const text of texts.flatMap((list) => list.split(","))) {
    const [name, count, ...rest] = text.split("=");
    if (name === undefined || count === undefined || rest.length > 0)
      throw new UsageError(`--instances takes NAME=N, not "${text}"`);
    if (!serviceNames.some((known) => known === name)) {
      throw new UsageError(`--instances names "${name}", which is none of ${serviceNames.join(", ")}`);
    }
    instances[name] = wholeNumber(`--instances ${name}`, count, { min: 1, max: maxInstances });
  }
  return instances;
}

function choice<const T extends string>(option: string, text: string, choices: readonly T[]): T {
  const found = choices.find((known) => known === text);
  if (found === undefined) throw new UsageError(`${option} is "${text}", which is none of ${choices.join(", ")}`);
  return found;
}

function wholeNumber(option: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${option} is "${text}", which is no whole number from ${min} to ${max}`);
}

function notEmpty(option: string, text: string): string {
  if (text === "") throw new UsageError(`${option} is empty`);
  return text;
}
