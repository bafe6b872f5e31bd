import { existsSync } from "node:fs";
import { join } from "node:path";
import { painter } from "./log-lines.ts";
import { repositoryRoot } from "./program.ts";

/** Addresses of a mesh that is ready: the content of `--ready-file`. */
export interface MeshAddresses {
  readonly edge: string;
  readonly registry: string;
  /** `host:port` of each instance, by service. */
  readonly services: Readonly<Record<string, readonly string[]>>;
}

/** What the banner says beside the addresses. */
export interface BannerOptions {
  readonly registryKind: string;
  readonly dataDir: string;
  /** True: the services keep their data in PostgreSQL. */
  readonly postgres: boolean;
  readonly readyAfterMs: number;
  readonly color: boolean;
  /** Finds a program on PATH. */
  readonly findProgram: (name: string) => string | undefined;
}

/** A command to paste, and what it shows. */
export interface SampleCommand {
  readonly title: string;
  readonly command: string;
}

/** What is printed when all is ready. */
export function renderBanner(addresses: MeshAddresses, options: BannerOptions): string {
  const paint = painter(options.color);
  const rows = [
    ["edge", addresses.edge, "REST, Connect, gRPC-Web and gRPC"],
    ["registry", addresses.registry, options.registryKind],
    ...Object.entries(addresses.services).map(([name, hosts]) => [name, hosts.join(", "), "gRPC"]),
  ] as const;
  const [nameWidth, addressWidth] = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const table = rows.map(([name = "", address = "", note = ""]) => {
    return `  ${paint("bold", name.padEnd(nameWidth ?? 0))}  ${address.padEnd(addressWidth ?? 0)}  ${paint("dim", note)}`;
  });
  const samples = sampleCommands(addresses, options.findProgram).flatMap(({ title, command }) => [
    paint("dim", `  # ${title}`),
    `  ${command}`,
  ]);
  const data = options.postgres ? "the data is in PostgreSQL" : `the data is in ${options.dataDir}`;
  return [
    "",
    `${paint(["bold", "green"], "Protoloom is ready")} after ${(options.readyAfterMs / 1_000).toFixed(1)} s; ${data}; Ctrl-C stops it.`,
    "",
    ...table,
    "",
    "Call it, from the folder of the repository:",
    "",
    ...samples,
    "",
  ].join("\n");
}

/** Four commands that work when they are pasted, again and again. */
export function sampleCommands(addresses: MeshAddresses, findProgram: BannerOptions["findProgram"]): readonly SampleCommand[] {
  const json = `-H 'content-type: application/json'`;
  const product = addresses.services["product"]?.[0] ?? "";
  return [
    {
      title: "REST: create a user; the request id makes it one user, however often it is sent",
      command: `curl -s '${addresses.edge}/v1/users?requestId=hello' ${json} -d '{"name":"Ada Lovelace","email":"ada@example.com"}'`,
    },
    {
      title: "Connect: list the users",
      command: `curl -s ${addresses.edge}/user.v1.UserService/ListUsers ${json} -d '{"pageSize":10}'`,
    },
    grpcCommand(product, findProgram),
    {
      title: "a Node program with the generated client",
      command: `${nodeProgram()} examples/list-users.ts ${addresses.registry}`,
    },
  ];
}

/** grpcurl where it is installed; otherwise buf, which npm installs, makes the same call by reflection. */
function grpcCommand(address: string, findProgram: BannerOptions["findProgram"]): SampleCommand {
  const grpcurl = findProgram("grpcurl");
  const title = "gRPC by reflection: list the products";
  if (grpcurl !== undefined) {
    const program = grpcurl === join(repositoryRoot, ".tools/bin/grpcurl") ? ".tools/bin/grpcurl" : "grpcurl";
    return { title, command: `${program} -plaintext -d '{"page_size":10}' ${address} product.v1.ProductService/ListProducts` };
  }
  return {
    title: `${title} (grpcurl is not installed; buf curl does the same)`,
    command: `npx buf curl --http2-prior-knowledge --protocol grpc -d '{"page_size":10}' http://${address}/product.v1.ProductService/ListProducts`,
  };
}

/** The Node that npm has pinned, or that of the system where it is new enough. */
function nodeProgram(): string {
  return existsSync(join(repositoryRoot, "node_modules/.bin/node")) ? "npx node" : "node";
}
