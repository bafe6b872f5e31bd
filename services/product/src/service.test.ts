import { fromBinary } from "@bufbuild/protobuf";
import { newId } from "@protoloom/mesh/data";
import { BadRequestSchema } from "@protoloom/protos/google/rpc/error_details_pb";
import { callError } from "@protoloom/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../tools/databases.ts";
import { startProducts } from "./test-rig/start-products.ts";
import type { ProductClients } from "./test-rig/start-products.ts";

const usd = (units: number, cents = 0): { currencyCode: string; units: bigint; nanos: number } => ({
  currencyCode: "USD",
  units: BigInt(units),
  nanos: cents * 10_000_000,
});

describeOnEachEngine("the product service", (newPlace) => {
  const resources = new AsyncDisposableStack();
  let products: ProductClients["products"];

  beforeAll(async () => {
    ({ products } = await startProducts(resources.use(newPlace("product")), resources));
  });
  afterAll(async () => {
    await resources.disposeAsync();
  });

  test("creates, reads, lists, changes and deletes a product", async () => {
    const product = await products.createProduct({
      product: { name: "Lamp", description: "Bright", category: "home", price: usd(12, 34) },
    });
    expect(product).toMatchObject({ name: "Lamp", description: "Bright", category: "home", price: usd(12, 34) });
    expect(await products.getProduct({ id: product.id })).toEqual(product);
    expect((await products.batchGetProducts({ ids: [product.id] })).products).toEqual([product]);
    expect(
      (await products.listProducts({ text: "bRIGHT", category: "home", minPrice: usd(12), maxPrice: usd(13) })).products,
    ).toEqual([product]);
    const changed = await products.updateProduct({
      product: { id: product.id, price: { currencyCode: "JPY", units: 5n, nanos: 0 }, etag: product.etag },
    });
    expect(changed).toMatchObject({ name: "Lamp", price: { currencyCode: "JPY", units: 5n, nanos: 0 } });
    expect(await callError(products.deleteProduct({ id: product.id, etag: product.etag }))).toMatchObject({
      code: 10,
      reason: "ETAG_MISMATCH",
      domain: "product.v1",
    });
    await products.deleteProduct({ id: product.id, etag: changed.etag });
    expect(await callError(products.getProduct({ id: product.id }))).toMatchObject({
      code: 5,
      reason: "PRODUCT_NOT_FOUND",
      info: { ids: product.id },
    });
  });

  test.each([
    ["an unknown currency", { currencyCode: "ABC", units: 1n, nanos: 0 }],
    ["a fraction of a cent", { currencyCode: "USD", units: 1n, nanos: 5_000_000 }],
    ["a fraction of a yen", { currencyCode: "JPY", units: 1n, nanos: 10_000_000 }],
    ["more than 2^53 - 1 minor units", { currencyCode: "USD", units: 9_223_372_036_854_775_807n, nanos: 0 }],
  ])("%s is no price", async (_, price) => {
    expect(await callError(products.createProduct({ product: { name: "Lamp", price } }))).toMatchObject({
      code: 3,
      reason: "PRICE_INVALID",
      domain: "product.v1",
      info: { field: "product.price" },
    });
  });

  test("a price that breaks the contract is refused", async () => {
    for (const price of [
      { currencyCode: "usd", units: 1n, nanos: 0 },
      { currencyCode: "USD", units: -1n, nanos: 0 },
    ]) {
      const refused = await callError(products.createProduct({ product: { name: "Lamp", price } }));
      expect(refused).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
      expect(refused.detail).toContain("product.price");
    }
  });

  test.each([
    ["no product", {}, ["product"]],
    ["no name", { product: { price: usd(1) } }, ["product.name"]],
    ["no price", { product: { name: "Lamp" } }, ["product.price"]],
    ["neither name nor price", { product: {} }, ["product.name", "product.price"]],
    [
      "a name that is longer in NFC, and no price",
      { product: { name: "\u0958".repeat(150) } },
      ["product.name", "product.price"],
    ],
  ])("a create with %s names each field that is wrong", async (_, request, fields) => {
    const refused = await callError(products.createProduct(request));
    expect(refused).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
    const violations = refused.details.flatMap(({ typeName, value }) =>
      typeName === BadRequestSchema.typeName ? fromBinary(BadRequestSchema, value).fieldViolations : [],
    );
    expect(violations.map(({ field }) => field)).toEqual(fields);
  });

  test("an update mask clears what may be empty, and nothing else", async () => {
    const { id } = await products.createProduct({
      product: { name: "Chair", description: "Soft", category: "home", price: usd(1) },
    });
    const cleared = await products.updateProduct({ product: { id }, updateMask: ["description", "category"] });
    expect(cleared).toMatchObject({ name: "Chair", description: "", category: "", price: usd(1) });
    for (const [path, field] of [
      ["name", "product.name"],
      ["price", "product.price"],
    ] as const) {
      const refused = await callError(products.updateProduct({ product: { id }, updateMask: [path] }));
      expect(refused).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
      expect(refused.detail).toContain(field);
    }
    expect(await callError(products.updateProduct({ product: { id }, updateMask: ["price.units"] }))).toMatchObject({
      code: 3,
      reason: "UPDATE_MASK_INVALID",
      info: { paths: "price.units" },
    });
  });

  test("prices are filtered and ordered within one currency", async () => {
    const eur = (units: number): { currencyCode: string; units: bigint; nanos: number } => ({
      currencyCode: "EUR",
      units: BigInt(units),
      nanos: 0,
    });
    for (const units of [3, 1, 2])
      await products.createProduct({ product: { name: `Pen ${units}`, category: "pens", price: eur(units) } });
    await products.createProduct({ product: { name: "Pen in dollars", category: "pens", price: usd(2) } });
    const { products: found } = await products.listProducts({ category: "pens", minPrice: eur(0), orderBy: "price desc" });
    expect(found.map(({ name }) => name)).toEqual(["Pen 3", "Pen 2", "Pen 1"]);
    expect(await callError(products.listProducts({ orderBy: "price" }))).toMatchObject({
      code: 3,
      reason: "ORDER_BY_INVALID",
      domain: "product.v1",
    });
    expect(await callError(products.listProducts({ minPrice: eur(1), maxPrice: usd(2) }))).toMatchObject({
      code: 3,
      reason: "CONTRACT_VIOLATED",
    });
    expect(await callError(products.listProducts({ minPrice: { units: 1n } }))).toMatchObject({
      code: 3,
      reason: "PRICE_INVALID",
      info: { field: "min_price" },
    });
  });

  test("a filter that no product can pass is an empty page, and NUL in it is refused", async () => {
    expect(await products.listProducts({ text: "nothing has this", category: "none" })).toEqual({
      products: [],
      nextPageToken: "",
    });
    for (const request of [{ text: "a\0b" }, { category: "a\0b" }]) {
      expect(await callError(products.listProducts(request))).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
    }
  });

  test("200 creates at once with one request id make one product and 200 equal answers", async () => {
    const request = { product: { name: "Parallel", category: "parallel", price: usd(1) }, requestId: newId() };
    const answers = await Promise.all(Array.from({ length: 200 }, async () => await products.createProduct(request)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect((await products.listProducts({ category: "parallel" })).products).toEqual([answers[0]]);
    expect(await callError(products.createProduct({ ...request, product: { ...request.product, price: usd(2) } }))).toMatchObject(
      {
        code: 6,
        reason: "REQUEST_ID_REUSED",
        domain: "product.v1",
      },
    );
  });
});
