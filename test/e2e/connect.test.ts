import { fromBinary } from "@bufbuild/protobuf";
import { BadRequestSchema, ErrorInfoSchema } from "@protoloom/protos/google/rpc/error_details_pb";
import { expect, test } from "vitest";
import { type JsonAnswer, connectApi, resources, sendJson } from "./json-client.ts";
import { type Protocol, resourceSuite } from "./resource-suite.ts";
import { describeOnEachStack, product, useMesh, user } from "./stack.ts";

/** gRPC's numbers of the names that Connect uses. */
const codes: Readonly<Record<string, number>> = {
  invalid_argument: 3,
  not_found: 5,
  already_exists: 6,
  aborted: 10,
  unimplemented: 12,
};

interface ConnectError {
  readonly code?: string;
  readonly message?: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

function readConnectError(answer: JsonAnswer): ReturnType<Protocol["readError"]> {
  const { code = "", message = "", details = [] } = answer.body as ConnectError;
  const bytes = (type: string): Uint8Array =>
    Buffer.from(details.find((found) => found.type === `google.rpc.${type}`)?.value ?? "", "base64");
  const { reason, domain } = fromBinary(ErrorInfoSchema, bytes("ErrorInfo"));
  const { fieldViolations } = fromBinary(BadRequestSchema, bytes("BadRequest"));
  return {
    status: answer.status,
    code: codes[code] ?? -1,
    message,
    reason,
    domain,
    fields: fieldViolations.map(({ field }) => field),
  };
}

describeOnEachStack("Connect", (stack) => {
  const mesh = useMesh(stack, { services: [user, product] });
  const protocol: Protocol = { api: (resource) => connectApi(mesh().edgeUrl, resource), readError: readConnectError };
  for (const resource of resources) resourceSuite(resource, protocol);
  const call = (method: string, body: unknown): Promise<JsonAnswer> =>
    sendJson("POST", `${mesh().edgeUrl}/user.v1.UserService/${method}`, body);

  test("a wrong e-mail address is refused, and the field is named", async () => {
    const error = readConnectError(await call("CreateUser", { user: { name: "Ada", email: "nobody" } }));
    expect(error).toMatchObject({
      status: 400,
      code: 3,
      reason: "CONTRACT_VIOLATED",
      domain: "protoloom.v1",
      fields: ["user.email"],
    });
  });

  test("broken JSON is answered 400 invalid_argument", async () => {
    const answer = await call("GetUser", "{");
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "invalid_argument" });
  });

  test("an unknown method, and an unknown service, are answered 404", async () => {
    for (const path of ["user.v1.UserService/ExplodeUser", "nobody.v1.NobodyService/Get"]) {
      const answer = await fetch(`${mesh().edgeUrl}/${path}`, {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json" },
      });
      expect(answer.status).toBe(404);
      await answer.arrayBuffer();
    }
  });

  test("GET is answered where the method has no side effects, and 405 elsewhere", async () => {
    const query = "connect=v1&encoding=json&message=%7B%22pageSize%22%3A1%7D";
    expect((await sendJson("GET", `${mesh().edgeUrl}/user.v1.UserService/ListUsers?${query}`)).status).toBe(200);
    const wrong = await fetch(`${mesh().edgeUrl}/user.v1.UserService/DeleteUser?${query}`);
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toBe("POST");
  });

  test("no process has ended", () => {
    for (const instance of [mesh().edge, mesh().registry, mesh().instance("user"), mesh().instance("product")]) {
      expect(instance?.running).toBe(true);
    }
  });
});
