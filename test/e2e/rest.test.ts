import { expect, test } from "vitest";
import { rawRequest } from "./raw-request.ts";
import { type JsonAnswer, resources, restApi, sendJson } from "./json-client.ts";
import { type Protocol, resourceSuite } from "./resource-suite.ts";
import { describeOnEachStack, product, useMesh, user } from "./stack.ts";

interface Status {
  readonly code?: number;
  readonly message?: string;
  readonly details?: readonly Readonly<Record<string, unknown>>[];
}

function readStatus(answer: JsonAnswer): ReturnType<Protocol["readError"]> {
  const { code = 0, message = "", details = [] } = answer.body as Status;
  const detail = (type: string): Readonly<Record<string, unknown>> =>
    details.find((found) => found["@type"] === `type.googleapis.com/google.rpc.${type}`) ?? {};
  const violations = (detail("BadRequest")["fieldViolations"] ?? []) as { field: string }[];
  const { reason, domain } = detail("ErrorInfo");
  return {
    status: answer.status,
    code,
    message,
    reason: String(reason),
    domain: String(domain),
    fields: violations.map(({ field }) => field),
  };
}

describeOnEachStack("REST", (stack) => {
  const mesh = useMesh(stack, { services: [user, product] });
  const protocol: Protocol = { api: (resource) => restApi(mesh().edgeUrl, resource), readError: readStatus };
  for (const resource of resources) resourceSuite(resource, protocol);

  test("a wrong e-mail address is refused, and the field is named", async () => {
    const error = readStatus(await sendJson("POST", `${mesh().edgeUrl}/v1/users`, { name: "Ada", email: "nobody" }));
    expect(error).toMatchObject({
      status: 400,
      code: 3,
      reason: "CONTRACT_VIOLATED",
      domain: "protoloom.v1",
      fields: ["user.email"],
    });
  });

  test("an e-mail address that another user has is refused", async () => {
    const url = `${mesh().edgeUrl}/v1/users`;
    await sendJson("POST", url, { name: "Ada", email: "taken@example.com" });
    const error = readStatus(await sendJson("POST", url, { name: "Eve", email: "TAKEN@example.com" }));
    expect(error).toMatchObject({ status: 409, code: 6, reason: "EMAIL_TAKEN", domain: "user.v1" });
  });

  test("products are found by text, category and price range", async () => {
    const url = `${mesh().edgeUrl}/v1/products`;
    for (const [name, units] of [
      ["Oak table", 300],
      ["Pine table", 100],
      ["Oak stool", 50],
    ] as const) {
      const { status } = await sendJson("POST", url, { name, category: "tables", price: { currencyCode: "USD", units } });
      expect(status).toBe(200);
    }
    const names = async (query: string): Promise<unknown> => {
      const { body } = await sendJson("GET", `${url}?category=tables&${query}`);
      return ((body["products"] ?? []) as { name: string }[]).map(({ name }) => name);
    };
    expect(await names("text=TABLE")).toEqual(["Oak table", "Pine table"]);
    expect(await names("minPrice.currencyCode=USD&minPrice.units=60&orderBy=price")).toEqual(["Pine table", "Oak table"]);
    expect(await names("max_price.currency_code=USD&max_price.units=100")).toEqual(["Pine table", "Oak stool"]);
    expect(await names("maxPrice.currencyCode=EUR&maxPrice.units=100")).toEqual([]);
  });

  test.for([
    ["broken JSON", "POST", "/v1/users", "{", 400, 3, "MALFORMED_REQUEST"],
    ["JSON of another shape", "POST", "/v1/users", "[]", 400, 3, "MALFORMED_REQUEST"],
    ["an unknown query parameter", "GET", "/v1/users?colour=red", undefined, 400, 3, "MALFORMED_REQUEST"],
    ["an unknown path", "GET", "/v1/nobody", undefined, 404, 5, "UNKNOWN_PATH"],
    ["an unknown verb", "GET", "/v1/users:explode", undefined, 404, 5, "UNKNOWN_PATH"],
  ] as const)("%s has its own answer", async ([, method, path, body, status, code, reason]) => {
    const error = readStatus(await sendJson(method, `${mesh().edgeUrl}${path}`, body));
    expect(error).toMatchObject({ status, code, reason, domain: "protoloom.v1" });
  });

  test("a wrong method is answered 405 with those that are allowed", async () => {
    const list = await sendJson("PUT", `${mesh().edgeUrl}/v1/users`, {});
    expect(readStatus(list)).toMatchObject({ status: 405, code: 12, reason: "METHOD_NOT_ALLOWED" });
    expect(list.headers.get("allow")?.split(", ").toSorted()).toEqual(["GET", "HEAD", "POST"]);
    const one = await sendJson("POST", `${mesh().edgeUrl}/v1/users/x`, {});
    expect(one.headers.get("allow")?.split(", ").toSorted()).toEqual(["DELETE", "GET", "HEAD", "PATCH"]);
  });

  test("a media type that is not JSON is answered 415", async () => {
    const answer = await fetch(`${mesh().edgeUrl}/v1/users`, {
      method: "POST",
      body: "a=b",
      headers: { "content-type": "text/plain" },
    });
    expect(answer.status).toBe(415);
    expect(await answer.json()).toMatchObject({ code: 3 });
  });

  test.for(["a b", "[", "x:y:z", "%", "exa<mple", ""])("the Host %j is answered 400, and the edge lives on", async (host) => {
    const { hostname, port } = new URL(mesh().edgeUrl);
    const answer = await rawRequest(
      hostname,
      Number(port),
      `GET /v1/users HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect((await sendJson("GET", `${mesh().edgeUrl}/v1/users`)).status).toBe(200);
  });

  test("no process has ended, and all are ready", async () => {
    for (const instance of [mesh().edge, mesh().registry, mesh().instance("user"), mesh().instance("product")]) {
      expect(instance?.running).toBe(true);
    }
    expect((await fetch(`${mesh().edgeUrl}/healthz`)).status).toBe(200);
    expect((await fetch(`${mesh().edgeUrl}/readyz`)).status).toBe(200);
  });
});
