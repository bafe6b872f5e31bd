import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { eventually } from "@protoloom/testing";

/** An answer as a client of Consul's HTTP API sees it. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** `X-Consul-Index`; NaN without one. */
  readonly index: number;
}

/** One entry of `/v1/health/service/:name`, as far as the contract looks at it. */
export interface HealthEntry {
  readonly Node: { readonly Node: string; readonly Address: string };
  readonly Service: {
    readonly ID: string;
    readonly Service: string;
    readonly Port: number;
    readonly Meta: Record<string, string> | null;
  };
  readonly Checks: readonly CheckEntry[];
}

/** One check in an answer. */
export interface CheckEntry {
  readonly CheckID: string;
  readonly Name: string;
  readonly Status: string;
  readonly Output: string;
  readonly Type: string;
  readonly ServiceID: string;
  readonly Notes: string;
}

/** A registry under test, seen from outside. */
export interface Target {
  readonly address: string;
  /** Sends any request; never throws for a status. */
  send(method: string, path: string, body?: unknown): Promise<RawAnswer>;
  /** Sends a GET that has to be 200, and reads its JSON. */
  read<T>(path: string): Promise<T>;
  /** Registers a service; the status has to be 200. */
  register(body: object, query?: string): Promise<void>;
  /** The entries of a service. */
  health(name: string, query?: string): Promise<readonly HealthEntry[]>;
  /** Status of each of an instance's own checks by id, once the catalog has as many as are expected. */
  statuses(name: string): Promise<Readonly<Record<string, string>>>;
}

/** A name that no other test has. */
export function uniqueName(word: string): string {
  return `${word}-${randomBytes(4).toString("hex")}`;
}

/** Speaks to the registry at `host:port`. */
export function createTarget(address: string): Target {
  const send: Target["send"] = async (method, path, body) => await sendRaw(address, { method, path, body });
  const read = async <T>(path: string): Promise<T> => {
    const answer = await send("GET", path);
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${answer.text}`);
    return JSON.parse(answer.text) as T;
  };
  const health: Target["health"] = async (name, query = "") => await read(`/v1/health/service/${name}${query}`);
  return {
    address,
    send,
    read,
    health,
    async register(body, query = "") {
      const answer = await send("PUT", `/v1/agent/service/register${query}`, body);
      if (answer.status !== 200) throw new Error(`register: ${answer.status} ${answer.text}`);
    },
    async statuses(name) {
      const entries = await eventually(async () => {
        const found = await health(name);
        return found.length > 0 && found;
      });
      const own = entries.flatMap(({ Checks }) => Checks).filter(({ ServiceID }) => ServiceID !== "");
      return Object.fromEntries(own.map(({ CheckID, Status }) => [CheckID, Status]));
    },
  };
}

async function sendRaw(
  address: string,
  { method, path, body }: { method: string; path: string; body: unknown },
): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const outgoing = request(`http://${address}`, { method, path, agent: false }, (incoming) => {
    let text = "";
    incoming.setEncoding("utf8");
    incoming.on("data", (chunk: string) => (text += chunk));
    incoming.on("error", reject);
    incoming.on("end", () => {
      const { statusCode, headers } = incoming;
      resolve({ status: statusCode ?? 0, headers, text, index: Number(headers["x-consul-index"] ?? Number.NaN) });
    });
  });
  outgoing.on("error", reject);
  outgoing.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
  return await promise;
}
