/** grpcurl calls every method of every service, of all kinds, with nothing but what reflection tells. */
import { randomUUID } from "node:crypto";
import { eventually } from "@protoloom/testing";
import { describe, expect, test } from "vitest";
import { describeWith } from "../../tools/parts.ts";
import { type Printed, callByReflection, grpcurl, openByReflection } from "../e2e/grpcurl.ts";
import { describeOnEachStack, fixture, product, useMesh, user } from "../e2e/stack.ts";

/** Calls methods of one service at one address, and remembers which. */
interface Driver {
  call(method: string, ...requests: readonly object[]): Promise<Printed[]>;
  /** The one answer of a method. */
  one(method: string, ...requests: readonly object[]): Promise<Printed>;
  /** A call that ends at its deadline. */
  until(seconds: number, method: string, request: object): Promise<string>;
  /** Reads a watch until its snapshot is complete, makes a change, and reads on until it comes. */
  watch(method: string, change: () => Promise<unknown>, isChange: (message: Printed) => boolean): Promise<Printed[]>;
  /** Every method that reflection lists, and all that were called: equal, unless one was forgotten. */
  coverage(): Promise<{ listed: string[]; called: string[] }>;
}

function createDriver(address: string, service: string): Driver {
  const called = new Set<string>();
  const call: Driver["call"] = (method, ...requests) => {
    called.add(`${service}.${method}`);
    return callByReflection(address, `${service}/${method}`, ...requests);
  };
  return {
    call,
    async one(method, ...requests) {
      const answers = await call(method, ...requests);
      expect(answers, method).toHaveLength(1);
      return answers[0] ?? {};
    },
    until(seconds, method, request) {
      called.add(`${service}.${method}`);
      return grpcurl("-max-time", String(seconds), "-d", JSON.stringify(request), address, `${service}/${method}`);
    },
    async watch(method, change, isChange) {
      called.add(`${service}.${method}`);
      using watch = openByReflection(address, `${service}/${method}`, {});
      await eventually(() => watch.messages().some((message) => "snapshotEnd" in message), { timeoutMs: 10_000 });
      await change();
      await eventually(() => watch.messages().some(isChange), { timeoutMs: 10_000 });
      return watch.messages();
    },
    coverage: async () => ({
      listed: (await grpcurl(address, "list", service)).split("\n").toSorted(),
      called: [...called].toSorted(),
    }),
  };
}

async function expectAllCalled(driver: Driver): Promise<void> {
  const { listed, called } = await driver.coverage();
  expect(called).toEqual(listed);
}

const euro = (units: string): object => ({ currencyCode: "EUR", units });

describeWith(["grpcurl"], "grpcurl drives every method", () => {
  describeOnEachStack("by reflection", (stack) => {
    const mesh = useMesh(stack, { services: [fixture, user, product] });

    describe.for([
      ["an instance", false],
      ["the edge", true],
    ] as const)("at %s", ([, isEdge]) => {
      const at = (name: string, service: string): Driver =>
        createDriver(isEdge ? new URL(mesh().edgeUrl).host : mesh().instance(name).address, service);

      test("of the fixture: unary, server stream, client stream and both", async () => {
        const driver = at("fixture", "fixture.v1.FixtureService");
        const id = randomUUID();
        expect(await driver.one("Echo", { text: "Grüße 🌍", id })).toMatchObject({ text: "Grüße 🌍" });
        const counted = await driver.call("Count", { count: 4 });
        expect(counted.map(({ index = 0 }) => index)).toEqual([0, 1, 2, 3]);
        expect(await driver.one("Collect", { text: "a" }, { text: "b", id })).toMatchObject({ texts: ["a", "b"] });
        const chat = await driver.call("Chat", { text: "a" }, { text: "b" }, { text: "c" });
        expect(chat.map(({ text, index = 0 }) => [index, text])).toEqual([
          [0, "a"],
          [1, "b"],
          [2, "c"],
        ]);
        expect(await driver.one("Ledger", { ids: [id] })).toMatchObject({ counts: { [id]: 2 } });
        const inside = driver.one("Inside", { text: "in" });
        if (isEdge) await expect(inside).rejects.toThrow(/does not include a method named "Inside"/);
        else expect(await inside).toMatchObject({ text: "in" });
        const { listed, called } = await driver.coverage();
        expect(called.filter((name) => !isEdge || !name.endsWith(".Inside"))).toEqual(listed);
      });

      test("of the users", async () => {
        const driver = at("user", "user.v1.UserService");
        const mail = (): string => `${randomUUID()}@example.com`;
        const created = await driver.one("CreateUser", { user: { name: "Grace", email: mail() }, requestId: randomUUID() });
        const { id } = created;
        expect(await driver.one("GetUser", { id })).toEqual(created);
        expect(await driver.one("BatchGetUsers", { ids: [id] })).toEqual({ users: [created] });
        const updated = await driver.one("UpdateUser", { user: { id, name: "Ada" }, updateMask: { paths: ["name"] } });
        expect((await driver.one("ListUsers", { pageSize: 100 }))["users"]).toContainEqual(updated);
        const rows = [{ user: { name: "Joan", email: mail() } }, { user: { name: "", email: "?" } }];
        expect(await driver.one("ImportUsers", ...rows)).toMatchObject({
          rowCount: "2",
          importedCount: "1",
          failedCount: "1",
          errors: [{ row: "1" }],
        });
        const seen = await driver.watch(
          "WatchUsers",
          () => driver.one("DeleteUser", { id }),
          ({ deleted }) => (deleted as Printed | undefined)?.["id"] === id,
        );
        expect(seen.map(({ existing }) => existing)).toContainEqual(updated);
        await expectAllCalled(driver);
      });

      test("of the products", async () => {
        const driver = at("product", "product.v1.ProductService");
        const created = await driver.one("CreateProduct", { product: { name: "Lamp", price: euro("9") } });
        const { id } = created;
        expect(await driver.one("GetProduct", { id })).toEqual(created);
        expect(await driver.one("BatchGetProducts", { ids: [id] })).toEqual({ products: [created] });
        const updated = await driver.one("UpdateProduct", {
          product: { id, price: euro("8") },
          updateMask: { paths: ["price"] },
        });
        expect(await driver.one("ListProducts", { minPrice: euro("8"), maxPrice: euro("8"), pageSize: 100 })).toMatchObject({
          products: expect.arrayContaining([updated]),
        });
        const rows = [{ product: { name: "Chair", price: euro("90") } }, { product: { name: "Nothing" } }];
        expect(await driver.one("ImportProducts", ...rows)).toMatchObject({
          rowCount: "2",
          importedCount: "1",
          failedCount: "1",
        });
        const seen = await driver.watch(
          "WatchProducts",
          () => driver.one("DeleteProduct", { id }),
          ({ deleted }) => (deleted as Printed | undefined)?.["id"] === id,
        );
        expect(seen.map(({ existing }) => existing)).toContainEqual(updated);
        await expectAllCalled(driver);
      });

      test("of the inventory", async () => {
        const products = at("product", "product.v1.ProductService");
        const { id: productId } = await products.one("CreateProduct", { product: { name: "Kite", price: euro("20") } });
        const driver = at("product", "product.v1.InventoryService");
        expect(await driver.one("AdjustStock", { productId, delta: 5, reason: "first delivery" })).toMatchObject({ onHand: "5" });
        const reserve = (quantity: number): Promise<Printed> =>
          driver.one("ReserveStock", { lines: [{ productId, quantity }], holdSeconds: 60 });
        const [kept, returned] = [await reserve(2), await reserve(1)];
        expect(await driver.one("CommitReservation", { id: kept["id"] })).toMatchObject({ state: "RESERVATION_STATE_COMMITTED" });
        expect(await driver.one("ReleaseReservation", { id: returned["id"] })).toMatchObject({
          state: "RESERVATION_STATE_RELEASED",
        });
        expect(await driver.one("GetStock", { productId })).toMatchObject({ onHand: "3", available: "3" });
        expect((await driver.one("ListReservations", { productId }))["reservations"]).toHaveLength(2);
        const quotes = await driver.call("QuoteBasket", { productId, quantity: 2 }, { productId, quantity: 4 });
        expect(quotes).toMatchObject([
          { totals: [euro("40")], orderable: true, requestCount: "1" },
          { totals: [euro("80")], requestCount: "2" },
        ]);
        expect(quotes[1]?.["orderable"] ?? false).toBe(false);
        await expectAllCalled(driver);
      });

      test("of grpc.health.v1", async () => {
        const driver = at("user", "grpc.health.v1.Health");
        expect(await driver.one("Check", { service: "user.v1.UserService" })).toEqual({ status: "SERVING" });
        expect((await driver.one("List"))["statuses"]).toMatchObject({ "user.v1.UserService": { status: "SERVING" } });
        // It goes on until its deadline.
        await expect(driver.until(1, "Watch", { service: "user.v1.UserService" })).rejects.toMatchObject({
          stdout: expect.stringContaining('"status": "SERVING"'),
          stderr: expect.stringContaining("Code: DeadlineExceeded"),
        });
        await expectAllCalled(driver);
      });
    });
  });
});
