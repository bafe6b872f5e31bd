import { join, resolve } from "node:path";
import type { Environment } from "@protoloom/mesh";
import { type UpOptions, defaultDataDir, serviceNames } from "./command-line.ts";
import { consulSpec, findConsulPorts } from "./consul-spec.ts";
import { findPort } from "./free-port.ts";
import type { ProcessSpec } from "./process-spec.ts";
import { findProgram, packageProgram, repositoryRoot, serviceProgram } from "./program.ts";

/** One process to start, with the folders whose files it is made of. */
export interface PlannedProcess {
  readonly spec: ProcessSpec;
  /** Service that it is an instance of, `registry` or `edge`. */
  readonly role: string;
  readonly sources: readonly string[];
}

/** What `up` starts. */
export interface Plan {
  readonly registryUrl: string;
  /** Words for the table: which registry it is. */
  readonly registryKind: string;
  /** Undefined where a registry runs already. */
  readonly registry: PlannedProcess | undefined;
  readonly services: readonly PlannedProcess[];
  readonly edge: PlannedProcess;
  /** Sentences for the user: ports that were taken. */
  readonly notices: readonly string[];
}

/** A wish that cannot be fulfilled; the message is one line for the user. */
export class PlanError extends Error {}

const registryPort = 8_500;
const firstServicePort = 50_051;

/** Finds ports and builds the commands. Throws PlanError. */
export async function planMesh(options: UpOptions, env: Environment): Promise<Plan> {
  refuseSeveralOnSqlite(options, env);
  const ports = createPortFinder();
  const base = { ...frugalEnv, ...env, MESH_DATA_DIR: resolve(options.dataDir ?? defaultDataDir) };
  const { url, kind, planned } = await planRegistry(options, base, ports);
  const shared = { ...base, CONSUL_HTTP_ADDR: url };
  const services: PlannedProcess[] = [];
  for (const [index, role] of serviceNames.entries()) {
    const count = options.instances[role] ?? 1;
    for (let instance = 1; instance <= count; instance++) {
      const name = count === 1 ? role : `${role}-${instance}`;
      // Instances after the first take any port: the next default belongs to the next service.
      const port = instance === 1 ? await ports.find(name, firstServicePort + index) : await ports.any();
      const spec = { name, command: frugal(serviceProgram(role)), env: { ...shared, MESH_LISTEN_PORT: String(port) } };
      services.push({ spec, role, sources: sourcesOf(`services/${role}`) });
    }
  }
  const edgePort = await ports.find("edge", options.edgePort);
  const edge = {
    name: "edge",
    command: frugal(packageProgram("@protoloom/edge")),
    env: { ...shared, MESH_LISTEN_PORT: String(edgePort) },
  };
  return {
    registryUrl: url,
    registryKind: kind,
    registry: planned,
    services,
    edge: { spec: edge, role: "edge", sources: sourcesOf("packages/edge") },
    notices: ports.notices,
  };
}

function refuseSeveralOnSqlite({ instances }: UpOptions, env: Environment): void {
  const several = Object.entries(instances).find(([, count]) => count > 1);
  if (several === undefined || (env["DATABASE_URL"] ?? "") !== "") return;
  const [name, count] = several;
  throw new PlanError(
    `--instances ${name}=${count} needs DATABASE_URL: an SQLite file has one owner, several instances share PostgreSQL`,
  );
}

interface PortFinder {
  readonly notices: string[];
  /** The wanted port, or a free one with a notice. */
  find(name: string, wanted: number): Promise<number>;
  /** A free port. */
  any(): Promise<number>;
}

function createPortFinder(): PortFinder {
  const reserved = new Set<number>();
  const notices: string[] = [];
  return {
    notices,
    async find(name, wanted) {
      const { port } = await findPort(wanted, { reserved });
      if (port !== wanted) notices.push(`port ${wanted} is taken: ${name} listens on ${port}`);
      return port;
    },
    any: async () => (await findPort(0, { reserved })).port,
  };
}

interface PlannedRegistry {
  readonly url: string;
  readonly kind: string;
  readonly planned: PlannedProcess | undefined;
}

async function planRegistry({ registry, dataDir }: UpOptions, env: Environment, ports: PortFinder): Promise<PlannedRegistry> {
  const running = env["CONSUL_HTTP_ADDR"] ?? "";
  if (running !== "" && registry !== "embedded") {
    const url = running.includes("://") ? running : `http://${running}`;
    return { url, kind: "already running", planned: undefined };
  }
  if (registry === "consul") return await planConsul(env, ports, dataDir);
  const port = await ports.find("registry", registryPort);
  const state = dataDir === undefined ? {} : { MESH_REGISTRY_DATA_DIR: join(resolve(dataDir), "registry") };
  const settings = { ...env, ...state, MESH_REGISTRY_PORT: String(port) };
  const spec = { name: "registry", command: frugal(packageProgram("@protoloom/registry")), env: settings };
  return {
    url: `http://127.0.0.1:${port}`,
    kind: "embedded",
    planned: { spec, role: "registry", sources: sourcesOf("packages/registry") },
  };
}

async function planConsul(env: Environment, finder: PortFinder, dataDir: string | undefined): Promise<PlannedRegistry> {
  const program = findProgram("consul", env["PATH"] ?? "");
  if (program === undefined) {
    throw new PlanError("--registry consul: there is no consul in .tools/bin (node tools/build-tools.mjs builds it) or on PATH");
  }
  const http = await finder.find("registry", registryPort);
  const ports = await findConsulPorts(() => finder.any(), http);
  const spec = consulSpec({
    program,
    ports,
    env,
    ...(dataDir === undefined ? {} : { dataDir: join(resolve(dataDir), "consul") }),
  });
  return { url: `http://127.0.0.1:${http}`, kind: "Consul", planned: { spec, role: "registry", sources: [] } };
}

/** All processes share one machine here: one arena for glibc's malloc makes each 8 MB smaller (92 MB of PSS become 85). */
const frugalEnv: Environment = { MALLOC_ARENA_MAX: "1" };

/** A young generation of 4 MB a semi-space instead of 16: a service takes 25 MB less (81 MB of PSS become 57). */
function frugal([node = process.execPath, ...args]: readonly string[]): readonly string[] {
  return [node, "--max-semi-space-size=4", ...args];
}

/** Folders whose change is a change of the process: its own, the runtime and the generated code. */
function sourcesOf(folder: string): readonly string[] {
  return [`${folder}/src`, "packages/mesh/src", "gen"].map((path) => join(repositoryRoot, path));
}
