import type { Clock } from "@protoloom/mesh";

/** A resource or an answer in JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Calls the REST API of an edge. Everything rejects with the edge's own words when a call fails. */
export interface EdgeClient {
  get(path: string): Promise<JsonObject>;
  post(path: string, body: object): Promise<JsonObject>;
  /** Every resource of a collection, page by page; `field` is its name in the answer. */
  list(path: string, field: string): AsyncIterable<JsonObject>;
  /** Imports rows in one call. Rejects with the first row that failed. */
  import(path: string, rows: readonly object[]): Promise<void>;
}

/** What the client needs beside the address. */
export interface EdgeClientOptions {
  readonly clock: Pick<Clock, "sleep">;
  readonly signal: AbortSignal;
}

/** 429, 503 and 504 pass: such a call is made again, this often, after waits that double from the first. */
const passing: ReadonlySet<number> = new Set([429, 503, 504]);
const maxAttempts = 6;
const firstWaitMs = 100;

/** Creates a client; it holds nothing. Calls that change something must carry a request id: they may be made again. */
export function createEdgeClient(edgeUrl: string, { clock, signal }: EdgeClientOptions): EdgeClient {
  const call = async (path: string, init: RequestInit = {}): Promise<JsonObject> => {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await fetch(`${edgeUrl}${path}`, { ...init, signal });
      const text = await answer.text();
      if (answer.ok) return (text === "" ? {} : JSON.parse(text)) as JsonObject;
      if (!passing.has(answer.status) || attempt === maxAttempts)
        throw new Error(`${init.method ?? "GET"} ${path} gave ${answer.status}: ${text}`);
      await clock.sleep(firstWaitMs * 2 ** (attempt - 1), signal);
    }
  };
  const post = (path: string, body: string, contentType: string): Promise<JsonObject> =>
    call(path, { method: "POST", headers: { "content-type": contentType }, body });
  return {
    get: (path) => call(path),
    post: (path, body) => post(path, JSON.stringify(body), "application/json"),
    async *list(path, field) {
      let pageToken = "";
      do {
        const page = await call(`${path}?pageSize=100&pageToken=${encodeURIComponent(pageToken)}`);
        yield* (page[field] ?? []) as JsonObject[];
        pageToken = (page["nextPageToken"] ?? "") as string;
      } while (pageToken !== "");
    },
    async import(path, rows) {
      const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
      const { errors = [] } = await post(`${path}:import`, lines, "application/x-ndjson");
      const [first] = errors as { readonly row?: string; readonly message?: string }[];
      if (first !== undefined) throw new Error(`row ${first.row ?? 0} of an import failed: ${first.message}`);
    },
  };
}
