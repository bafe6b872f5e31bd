/** What the faults are tried on: two services with their load, and with what shows that no call was executed twice. */
import { randomBytes } from "node:crypto";
import { FixtureService } from "@protoloom/fixture";
import { UserService } from "@protoloom/contracts";
import { createEndpoint, grantedTimeoutMs, policyOf } from "@protoloom/mesh";
import type { Mesh, RequestOf, ResponseOf, ServiceDefinition, ServiceHandle, ServiceTransport } from "@protoloom/mesh";
import { type MeshService, eventually } from "@protoloom/testing";
import { type Stack, fixture, user } from "../e2e/stack.ts";
import { type KeptStream, type UserWatch, keepCounting, keepWatchingUsers } from "./kept-streams.ts";

/** A service on a stack. */
export interface Subject {
  readonly name: string;
  readonly stack: Stack;
  readonly service: MeshService;
  /** The parts of tools/parts.ts that it needs. */
  readonly needs: readonly string[];
  /** Prepares the load. */
  prepare(mesh: Mesh): Promise<Workload>;
}

/** The calls of a load, and an account of them. */
export interface Workload {
  /** Makes one call; its number tells it from the others. Gives the address of the instance that answered. */
  call(index: number): Promise<string>;
  /** Begins ten streams of the service, each of which comes back when its instance goes. */
  keepStreams(): readonly KeptStream[];
  /** Notes what the instance at an address has executed, before it goes. */
  noteExecutions(address: string): Promise<void>;
  /** What is wrong with what was executed, judged by all instances that run and what was noted. */
  findProblems(addresses: readonly string[]): Promise<readonly string[]>;
}

/** Makes a call as `mesh.client` does, within the timeout of the method's policy, and says which instance answered. */
async function callOnce<Definition extends ServiceDefinition, Name extends keyof Definition & string>(
  target: ServiceTransport,
  handle: ServiceHandle<Definition>,
  { name, request }: { readonly name: Name; readonly request: RequestOf<Definition[Name]> },
): Promise<{ readonly message: ResponseOf<Definition[Name]>; readonly address: string }> {
  const method = handle.definition[name];
  const descriptor = handle.descriptor.method[name];
  if (method === undefined || descriptor === undefined) throw new Error(`there is no method ${name}`);
  const deadline = performance.now() + grantedTimeoutMs(policyOf(descriptor), undefined);
  const bytes = method.requestSerialize(request as never);
  const answer = await target.unary({ path: method.path, metadata: {}, deadline }, bytes);
  const message = method.responseDeserialize(Buffer.from(answer.message)) as ResponseOf<Definition[Name]>;
  return { message, address: answer.endpoint.key };
}

/** 300 calls a second that take 20 ms each: about six are in flight at any time. */
async function prepareFixture(mesh: Mesh): Promise<Workload> {
  const { requests } = FixtureService;
  const service = mesh.transport.service("fixture");
  const prefix = randomBytes(4).toString("hex");
  const noted = new Map<string, number>();
  const readLedger = async (address: string): Promise<Readonly<Record<string, number>>> => {
    const [host = "", port] = address.split(":");
    const one = mesh.transport.endpoint(createEndpoint(host, Number(port)));
    return (await callOnce(one, FixtureService, { name: "ledger", request: requests.ledger({}) })).message.counts;
  };
  const add = (counts: Map<string, number>, more: Readonly<Record<string, number>>): void => {
    for (const [id, count] of Object.entries(more)) counts.set(id, (counts.get(id) ?? 0) + count);
  };
  return {
    async call(index) {
      const request = requests.echo({ id: `${prefix}-${index}`, delayMs: 20 });
      return (await callOnce(service, FixtureService, { name: "echo", request })).address;
    },
    keepStreams: () => Array.from({ length: 10 }, () => keepCounting(mesh)),
    noteExecutions: async (address) => add(noted, await readLedger(address)),
    async findProblems(addresses) {
      const counts = new Map(noted);
      for (const address of addresses) add(counts, await readLedger(address));
      const twice = [...counts].filter(([id, count]) => id.startsWith(prefix) && count > 1);
      return twice.map(([id, count]) => `the call ${id} was executed ${count} times`);
    },
  };
}

/** Reads, and one call in ten creates a user: executed twice it would fail, since each e-mail address is taken once. */
async function prepareUser(mesh: Mesh): Promise<Workload> {
  const { requests } = UserService;
  const service = mesh.transport.service("user");
  const prefix = randomBytes(4).toString("hex");
  const create = async (label: string): Promise<{ readonly id: string; readonly address: string }> => {
    const request = requests.createUser({ user: { name: label, email: `${prefix}-${label}@example.com` } });
    const { message, address } = await callOnce(service, UserService, { name: "createUser", request });
    return { id: message.id, address };
  };
  const { id: known } = await create("first");
  const created: string[] = [];
  let watches: readonly UserWatch[] = [];
  return {
    async call(index) {
      if (index % 10 !== 0) {
        const request = requests.getUser({ id: known });
        return (await callOnce(service, UserService, { name: "getUser", request })).address;
      }
      const { id, address } = await create(String(index));
      created.push(id);
      return address;
    },
    keepStreams: () => (watches = Array.from({ length: 10 }, () => keepWatchingUsers(mesh))),
    noteExecutions: async () => {},
    async findProblems() {
      const problems = new Set(created).size === created.length ? [] : ["two calls created one user"];
      const last = created.at(-1) ?? known;
      await eventually(() => watches.every(({ timesSeen }) => timesSeen.has(last))).catch(() => {}); // A problem, below.
      for (const { timesSeen } of watches) {
        const missed = created.filter((id) => timesSeen.get(id) !== 1);
        if (missed.length > 0) problems.push(`a watch has not seen ${missed.length} of ${created.length} users once`);
      }
      for (let start = 0; start < created.length; start += 50) {
        const request = requests.batchGetUsers({ ids: created.slice(start, start + 50) });
        // It fails if one of them is not there.
        await callOnce(service, UserService, { name: "batchGetUsers", request });
      }
      return problems;
    },
  };
}

const embedded: Stack = { name: "the embedded registry", registry: "embedded", engine: "sqlite" };
const consul: Stack = { name: "Consul", registry: "consul", engine: "sqlite" };
const onFixture = { service: fixture, prepare: prepareFixture };
const onUser = { service: user, prepare: prepareUser };

/** All that the matrix is run on. */
export const subjects: readonly Subject[] = [
  { ...onFixture, name: "fixture, embedded registry", stack: embedded, needs: [] },
  { ...onFixture, name: "fixture, Consul", stack: consul, needs: ["consul"] },
  { ...onUser, name: "user, embedded registry", stack: { ...embedded, engine: "postgres" }, needs: ["postgres"] },
  { ...onUser, name: "user, Consul", stack: { ...consul, engine: "postgres" }, needs: ["consul", "postgres"] },
];
