/** Calls of the edge as a program without generated code makes them. */

/** An answer in JSON. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  // What came is what a test looks at.
  readonly body: Record<string, unknown>;
}

/** Sends JSON, or the text that is given, and reads JSON. */
export async function sendJson(method: string, url: string, body?: unknown): Promise<JsonAnswer> {
  const answer = await fetch(url, {
    method,
    ...(body === undefined
      ? {}
      : { body: typeof body === "string" ? body : JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await answer.text();
  return {
    status: answer.status,
    headers: answer.headers,
    body: text === "" ? {} : (JSON.parse(text) as Record<string, unknown>),
  };
}

/** The operations that both services have, over one protocol. */
export interface ResourceApi {
  create(resource: object, requestId?: string): Promise<JsonAnswer>;
  get(id: string): Promise<JsonAnswer>;
  batchGet(ids: readonly string[]): Promise<JsonAnswer>;
  list(query: Readonly<Record<string, string>>): Promise<JsonAnswer>;
  /** Changes the fields that are given; `etag` makes it conditional. */
  update(id: string, fields: Readonly<Record<string, unknown>>): Promise<JsonAnswer>;
  remove(id: string, etag?: string): Promise<JsonAnswer>;
}

/** What the suites need to know of a resource. */
export interface Resource {
  /** `user`. */
  readonly one: string;
  /** `users`. */
  readonly many: string;
  /** `user.v1`. */
  readonly domain: string;
  /** The reason when an id is unknown. */
  readonly notFound: string;
  /** A resource that differs from all others. */
  readonly make: (tag: string) => Readonly<Record<string, unknown>>;
}

export const resources: readonly Resource[] = [
  {
    one: "user",
    many: "users",
    domain: "user.v1",
    notFound: "USER_NOT_FOUND",
    make: (tag) => ({ name: `Ada ${tag}`, email: `ada-${tag}@example.com` }),
  },
  {
    one: "product",
    many: "products",
    domain: "product.v1",
    notFound: "PRODUCT_NOT_FOUND",
    make: (tag) => ({
      name: `Chair ${tag}`,
      category: "chairs",
      price: { currencyCode: "EUR", units: "120", nanos: 500_000_000 },
    }),
  },
];

/** The REST paths of google.api.http. */
export function restApi(edge: string, { many }: Resource): ResourceApi {
  const base = `${edge}/v1/${many}`;
  return {
    create: (resource, requestId) =>
      sendJson("POST", requestId === undefined ? base : `${base}?requestId=${requestId}`, resource),
    get: (id) => sendJson("GET", `${base}/${id}`),
    batchGet: (ids) => sendJson("GET", `${base}:batchGet?${queryOf(ids.map((id) => ["ids", id]))}`),
    list: (query) => sendJson("GET", `${base}?${queryOf(Object.entries(query))}`),
    update: (id, fields) => sendJson("PATCH", `${base}/${id}`, fields),
    remove: (id, etag) =>
      sendJson("DELETE", etag === undefined ? `${base}/${id}` : `${base}/${id}?etag=${encodeURIComponent(etag)}`),
  };
}

function queryOf(entries: readonly (readonly [name: string, value: string])[]): string {
  return entries.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
}

/** Connect's unary calls with JSON. */
export function connectApi(edge: string, { one, many, domain }: Resource): ResourceApi {
  const [One, Many] = [one, many].map((name) => `${name[0]?.toUpperCase()}${name.slice(1)}`);
  const call = (method: string, request: object): Promise<JsonAnswer> =>
    sendJson("POST", `${edge}/${domain}.${One}Service/${method}`, request);
  return {
    create: (resource, requestId) => call(`Create${One}`, { [one]: resource, ...(requestId === undefined ? {} : { requestId }) }),
    get: (id) => call(`Get${One}`, { id }),
    batchGet: (ids) => call(`BatchGet${Many}`, { ids }),
    list: ({ pageSize, ...query }) =>
      call(`List${Many}`, { ...query, ...(pageSize === undefined ? {} : { pageSize: Number(pageSize) }) }),
    update(id, fields) {
      const updateMask = Object.keys(fields)
        .filter((name) => name !== "etag")
        .join(",");
      return call(`Update${One}`, { [one]: { id, ...fields }, updateMask });
    },
    remove: (id, etag) => call(`Delete${One}`, { id, ...(etag === undefined ? {} : { etag }) }),
  };
}
