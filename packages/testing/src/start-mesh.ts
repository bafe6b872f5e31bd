import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ProcessSpec, consulSpec, findConsulPorts, findPort, findProgram, packageProgram } from "@protoloom/cli";
import type { Environment } from "@protoloom/mesh";
import type { MeshProcess } from "./mesh-process.ts";
import { type ProcessGroup, createProcessGroup } from "./process-group.ts";

/** A service to run, in any language: it follows the environment of docs/configuration.md and writes MESH_READY_FILE. */
export interface MeshService {
  /** Its name here; the name in the registry is the service's own business. */
  readonly name: string;
  /** Program and arguments, such as `[process.execPath, "src/main.ts"]`. */
  readonly command: readonly string[];
  /** Settings of its own, over those of the mesh. */
  readonly env?: Environment;
  /** Instances that start with the mesh. Default: 1. */
  readonly instances?: number;
}

/** What a mesh for a test is made of. Every part has a default; without options it is a registry and an edge. */
export interface MeshOptions {
  /** Default: `embedded`. `consul` needs the program, in `.tools/bin` or on PATH. A URL names a registry that runs already. */
  readonly registry?: "embedded" | "consul" | { readonly url: string };
  readonly services?: readonly MeshService[];
  /** DATABASE_URL of the services. Default: none, so each keeps an SQLite file in the data folder. */
  readonly databaseUrl?: string;
  /** Whether an edge runs. Default: true. */
  readonly edge?: boolean;
  /** Folder of the data, kept when the mesh is disposed. Default: one of its own, removed with it. */
  readonly dataDir?: string;
  /** Settings of all processes, such as MESH_LOG_LEVEL. */
  readonly env?: Environment;
  /** How long each process may take to be ready, in ms. Default: 20,000. */
  readonly readyTimeoutMs?: number;
}

/** A mesh of real processes on free ports of 127.0.0.1. Disposing it kills them, and removes what they wrote. */
export interface TestMesh extends AsyncDisposable {
  /** `http://host:port` of the registry. */
  readonly registryUrl: string;
  /** `http://host:port` of the edge, or empty if the mesh has none. */
  readonly edgeUrl: string;
  /** The registry's process, or undefined if it ran before. */
  readonly registry: MeshProcess | undefined;
  /** The edge's process, or undefined if the mesh has none. */
  readonly edge: MeshProcess | undefined;
  /** All instances of a service that were started, in that order. */
  instances(name: string): readonly MeshProcess[];
  /** The first instance of a service. Throws if there is none. */
  instance(name: string): MeshProcess;
  /** Starts another instance, of a service that the mesh knows or of a new one, and waits until it is ready. */
  start(service: MeshService | string): Promise<MeshProcess>;
}

/** What of this process's environment the processes need; nothing else of it can change a test. */
const inherited = ["PATH", "HOME", "TMPDIR", "LANG", "TZ", "NODE_COMPILE_CACHE"] as const;

/** Starts a mesh and waits until all of its processes are ready. On a failure nothing is left behind. */
export async function startMesh(options: MeshOptions = {}): Promise<TestMesh> {
  await using cleanup = new AsyncDisposableStack();
  const group = createProcessGroup({ runDir: temporaryFolder(cleanup), readyTimeoutMs: options.readyTimeoutMs ?? 20_000 });
  cleanup.use(group);
  const base = baseEnvironment(options, options.dataDir ?? temporaryFolder(cleanup));
  const choice = options.registry ?? "embedded";
  const registry =
    typeof choice === "object"
      ? undefined
      : await group.start(await registrySpec(choice, base), { portVariable: "MESH_REGISTRY_PORT" });
  const registryUrl = typeof choice === "object" ? choice.url : `http://${registry?.address}`;
  const env: Environment = { ...base, CONSUL_HTTP_ADDR: registryUrl };
  const book = createServiceBook(group, { ...env, DATABASE_URL: options.databaseUrl });
  const services = (options.services ?? []).flatMap((service) => Array.from({ length: service.instances ?? 1 }, () => service));
  await Promise.all(services.map(book.start));
  // An edge serves what is registered when it starts as soon as it is ready, and learns of the rest later.
  const edgeSpec: ProcessSpec = { name: "edge", command: packageProgram("@protoloom/edge"), env };
  const edge = (options.edge ?? true) ? await group.start(edgeSpec) : undefined;
  const owned = cleanup.move();
  return {
    registryUrl,
    edgeUrl: edge === undefined ? "" : `http://${edge.address}`,
    registry,
    edge,
    ...book,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Starts instances of services, and remembers them by name. */
function createServiceBook(group: ProcessGroup, env: Environment): Pick<TestMesh, "instances" | "instance" | "start"> {
  const known = new Map<string, { readonly service: MeshService; readonly instances: MeshProcess[] }>();
  let startedCount = 0;
  return {
    instances: (name) => known.get(name)?.instances ?? [],
    instance(name) {
      const [first] = known.get(name)?.instances ?? [];
      if (first === undefined) throw new Error(`this mesh has no instance of ${name}`);
      return first;
    },
    async start(wanted) {
      const service = typeof wanted === "string" ? known.get(wanted)?.service : wanted;
      if (service === undefined) throw new Error(`this mesh knows no service ${JSON.stringify(wanted)}`);
      const entry = known.get(service.name) ?? { service, instances: [] };
      known.set(service.name, entry);
      startedCount += 1;
      const name = `${service.name}-${startedCount}`;
      const process = await group.start({ name, command: service.command, env: { ...env, ...service.env } });
      entry.instances.push(process);
      return process;
    },
  };
}

function baseEnvironment({ env }: MeshOptions, dataDir: string): Environment {
  const own = Object.fromEntries(inherited.map((name) => [name, process.env[name]]));
  return { ...own, MESH_DATA_DIR: dataDir, MESH_LISTEN_PORT: "0", MESH_REGISTRY_PORT: "0", ...env };
}

function temporaryFolder(cleanup: AsyncDisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), "protoloom-mesh-"));
  cleanup.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

async function registrySpec(kind: "embedded" | "consul", env: Environment): Promise<ProcessSpec> {
  if (kind === "embedded") return { name: "registry", command: packageProgram("@protoloom/registry"), env };
  const program = findProgram("consul", env["PATH"] ?? "");
  if (program === undefined) throw new Error("there is no consul in .tools/bin or on PATH");
  const reserved = new Set<number>();
  const ports = await findConsulPorts(async () => (await findPort(0, { reserved })).port);
  return consulSpec({ program, ports, env });
}
