import { randomUUID } from "node:crypto";
import { ProductService, UserService } from "@protoloom/contracts";
import type { ServiceHandle } from "@protoloom/mesh";
import { expect, test } from "vitest";
import { describeWith } from "../../tools/parts.ts";
import { grpcurl } from "./grpcurl.ts";
import { describeOnEachStack, product, useMesh, user } from "./stack.ts";

/** The names of a service's methods, as its contract has them. */
function methodsOf({ descriptor }: ServiceHandle, kind?: "unary"): readonly string[] {
  return descriptor.methods
    .filter(({ methodKind }) => kind === undefined || methodKind === kind)
    .map(({ name }) => name)
    .toSorted();
}

const reflection = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

describeWith(["grpcurl"], "grpcurl", () => {
  describeOnEachStack("reflection", (stack) => {
    const mesh = useMesh(stack, { services: [user, product] });
    const edge = (): string => new URL(mesh().edgeUrl).host;
    const directUser = (): string => mesh().instance("user").address;
    const directProduct = (): string => mesh().instance("product").address;

    test("lists the services of an instance, and those of all at the edge", async () => {
      const list = async (address: string): Promise<string[]> => (await grpcurl(address, "list")).split("\n").toSorted();
      const own = ["grpc.health.v1.Health", ...reflection];
      expect(await list(directUser())).toEqual([...own, "user.v1.UserService"]);
      const ofProduct = ["product.v1.InventoryService", "product.v1.ProductService"];
      expect(await list(directProduct())).toEqual([...own, ...ofProduct]);
      expect(await list(edge())).toEqual([...own, ...ofProduct, "user.v1.UserService"]);
    });

    test.for([
      ["an instance", directUser, UserService],
      ["an instance", directProduct, ProductService],
      ["the edge", edge, UserService],
      ["the edge", edge, ProductService],
    ] as const)("%s describes every method of a service, with its types and options", async ([, address, handle]) => {
      const [service, methods] = [handle.descriptor.typeName, methodsOf(handle)];
      expect((await grpcurl(address(), "list", service)).split("\n").toSorted()).toEqual(
        methods.map((name) => `${service}.${name}`),
      );
      const description = await grpcurl(address(), "describe", service);
      for (const method of methods) {
        expect(description).toContain(`rpc ${method} (`);
        const request = /rpc \w+ \( (?:stream )?(\S+) \)/.exec(await grpcurl(address(), "describe", `${service}.${method}`))?.[1];
        expect(await grpcurl(address(), "describe", request ?? "")).toContain(`message ${method}Request {`);
      }
      expect(description).toContain("option (.google.api.http) = ");
      expect(description).toContain("option (.protoloom.v1.method) = ");
    });

    test.for([
      ["an instance", directUser, directProduct],
      ["the edge", edge, edge],
    ] as const)("calls every unary method at %s", async ([, users, products]) => {
      await callAll(users(), UserService, "User", {
        name: "Grace",
        email: `grace-${randomUUID().slice(0, 8)}@example.com`,
      });
      await callAll(products(), ProductService, "Product", {
        name: "Lamp",
        price: { currency_code: "EUR", units: "9" },
      });
    });

    test("an error comes with its details", async () => {
      for (const address of [directUser(), edge()]) {
        const failed = grpcurl("-d", JSON.stringify({ id: "none" }), address, "user.v1.UserService/GetUser");
        await expect(failed).rejects.toMatchObject({
          stderr: expect.stringMatching(/Code: NotFound[^]*"reason": "USER_NOT_FOUND"/),
        });
      }
    });

    test("grpc.health.v1 answers for the process and for each service", async () => {
      const check = (address: string, service: string): Promise<string> =>
        grpcurl("-d", JSON.stringify({ service }), address, "grpc.health.v1.Health/Check");
      for (const service of ["", "user.v1.UserService"]) {
        expect(JSON.parse(await check(directUser(), service))).toEqual({ status: "SERVING" });
        expect(JSON.parse(await check(edge(), service))).toEqual({ status: "SERVING" });
      }
      await expect(check(directUser(), "nobody.v1.NobodyService")).rejects.toMatchObject({
        stderr: expect.stringContaining("Code: NotFound"),
      });
      const list = JSON.parse(await grpcurl(directUser(), "grpc.health.v1.Health/List")) as { statuses: object };
      expect(list.statuses).toHaveProperty(["user.v1.UserService", "status"], "SERVING");
    });
  });
});

/** Creates, reads, lists, changes and deletes one resource: every unary method of its service. */
async function callAll(address: string, handle: ServiceHandle, one: "User" | "Product", resource: object): Promise<void> {
  const key = one.toLowerCase();
  const called = new Set<string>();
  const call = async (method: string, request: object): Promise<Record<string, unknown>> => {
    called.add(method);
    return JSON.parse(await grpcurl("-d", JSON.stringify(request), address, `${handle.descriptor.typeName}/${method}`)) as Record<
      string,
      unknown
    >;
  };
  const created = await call(`Create${one}`, { [key]: resource });
  const { id } = created;
  expect(await call(`Get${one}`, { id })).toEqual(created);
  expect(await call(`BatchGet${one}s`, { ids: [id] })).toEqual({ [`${key}s`]: [created] });
  expect((await call(`List${one}s`, { page_size: 100 }))[`${key}s`]).toContainEqual(created);
  const changed = await call(`Update${one}`, { [key]: { id, name: "Changed" }, update_mask: { paths: ["name"] } });
  expect(changed).toEqual({ ...created, name: "Changed", etag: expect.anything(), updateTime: expect.anything() });
  expect(await call(`Delete${one}`, { id, etag: changed["etag"] })).toEqual({});
  expect([...called].toSorted()).toEqual(methodsOf(handle, "unary"));
}
