import { systemClock } from "@protoloom/mesh";
import type { Clock } from "@protoloom/mesh";
import { toEtag } from "@protoloom/mesh/data";
import type { Database } from "@protoloom/mesh/data";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../../tools/databases.ts";
import type { Product, ProductFields } from "../domain/product.ts";
import type { ProductTables } from "./migrations.ts";
import { openProductStore } from "../test-rig/open-product-store.ts";
import type { ProductFilter, ProductStore } from "./product-store.ts";

const anything: ProductFilter = { text: "", category: "" };

describeOnEachEngine("the product store", (newPlace) => {
  let nowMs = 1_700_000_000_000;
  const clock: Clock = { ...systemClock, now: () => nowMs };
  const resources = new AsyncDisposableStack();
  let database: Database<ProductTables>;
  let store: ProductStore;

  beforeAll(async () => {
    const place = resources.use(newPlace("product"));
    ({ database, store } = await openProductStore(place, resources, clock));
  });
  afterAll(() => resources.disposeAsync());

  const create = async (fields: Partial<ProductFields>): Promise<Product> => {
    const all = { name: "thing", description: "", category: "", price: { currency: "EUR", minor: 100 }, ...fields };
    return await database.transaction(async (trx) => await store.create(trx, all));
  };
  const update = async (id: string, fields: Partial<ProductFields>, etag = ""): Promise<Product> =>
    await database.transaction(async (trx) => await store.update(trx, id, { fields, etag }));
  const listed = async (filter: Partial<ProductFilter>, orderBy = "", pageSize = 100): Promise<readonly Product[]> => {
    const products: Product[] = [];
    let pageToken = "";
    do {
      const page = await store.list({ pageSize, pageToken, orderBy, filter: { ...anything, ...filter } });
      products.push(...page.products);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return products;
  };
  const found = async (text: string): Promise<string[]> =>
    (await listed({ text, category: "search" }, "name")).map(({ name }) => name);

  test("a product that was created reads back equal, the largest price too", async () => {
    const fields = {
      name: "Ümlaut",
      description: "a\nb",
      category: "tools",
      price: { currency: "KWD", minor: Number.MAX_SAFE_INTEGER },
    };
    const product = await create(fields);
    expect(product).toMatchObject({ ...fields, version: 1, createMs: nowMs, updateMs: nowMs });
    expect(await store.get(product.id)).toEqual(product);
  });

  test("text is found in name or description, whatever its case and form, and means itself", async () => {
    const add = async (name: string, description = ""): Promise<Product> =>
      await create({ name, description, category: "search" });
    await add("Straße", "one");
    await add("100%_sure", "two");
    await add("100 percent", "three Ärger");
    await add("ΟΔΟΣΑ", "four");
    await add("ﬁne Ｗide", "five");
    await add("back\\slash", "six");
    expect(await found("STRASSE")).toEqual([]);
    expect(await found("straß")).toEqual(["Straße"]);
    expect(await found("%")).toEqual(["100%_sure"]);
    expect(await found("100%_")).toEqual(["100%_sure"]);
    expect(await found("0_p")).toEqual([]);
    expect(await found("ÄRGER")).toEqual(["100 percent"]);
    expect(await found("A\u0308rger")).toEqual(["100 percent"]);
    expect(await found("οδος")).toEqual(["ΟΔΟΣΑ"]);
    expect(await found("FINE WIDE")).toEqual(["ﬁne Ｗide"]);
    expect(await found("\\")).toEqual(["back\\slash"]);
    expect(await found("\\%")).toEqual([]);
    expect(await found("four")).toEqual(["ΟΔΟΣΑ"]);
  });

  test("nothing is found across the end of the name", async () => {
    await create({ name: "ends here", description: "starts there", category: "search" });
    for (const between of ["", " ", "\n", "\u0001"]) expect(await found(`here${between}starts`)).toEqual([]);
  });

  test("an update of the name or the description alone keeps the other one found", async () => {
    const product = await create({ name: "oldname", description: "olddescription", category: "search" });
    await Promise.all([update(product.id, { name: "newname" }), update(product.id, { description: "newdescription" })]);
    expect([await found("oldname"), await found("olddescription")]).toEqual([[], []]);
    expect([await found("newname"), await found("newdescription")]).toEqual([["newname"], ["newname"]]);
  });

  test("a category is exact, and the same in each Unicode form", async () => {
    await create({ name: "cat", category: "Käse" });
    expect(await listed({ category: "Ka\u0308se" })).toHaveLength(1);
    expect(await listed({ category: "käse" })).toEqual([]);
    expect(await listed({ category: "Käs" })).toEqual([]);
  });

  test("a price range holds both ends and only its currency", async () => {
    for (const minor of [99, 100, 150, 200, 201])
      await create({ name: `p${minor}`, category: "range", price: { currency: "USD", minor } });
    await create({ name: "yen", category: "range", price: { currency: "JPY", minor: 150 } });
    const range = async (price: NonNullable<ProductFilter["price"]>): Promise<number[]> =>
      (await listed({ category: "range", price }, "price")).map((product) => product.price.minor);
    expect(await range({ currency: "USD", minMinor: 100, maxMinor: 200 })).toEqual([100, 150, 200]);
    expect(await range({ currency: "USD", minMinor: 150 })).toEqual([150, 200, 201]);
    expect(await range({ currency: "USD", maxMinor: 100 })).toEqual([99, 100]);
    expect(await range({ currency: "USD", minMinor: 201, maxMinor: 100 })).toEqual([]);
    expect(await range({ currency: "JPY", minMinor: 0 })).toEqual([150]);
    await expect(listed({}, "price desc")).rejects.toMatchObject({ problem: { kind: "order_needs_currency" } });
  });

  test("several fields order in mixed directions, the same whatever the page size", async () => {
    const category = "mixed";
    for (let index = 0; index < 24; index++) {
      nowMs += index % 3;
      await create({ name: `n${index % 4}`, category, price: { currency: "CHF", minor: (index * 7) % 5 } });
    }
    const price = { currency: "CHF" };
    const all = await listed({ category, price });
    expect(all).toHaveLength(24);
    const expected = all.toSorted(
      (a, b) =>
        (a.name < b.name ? 1 : a.name > b.name ? -1 : 0) ||
        a.price.minor - b.price.minor ||
        b.createMs - a.createMs ||
        (a.id < b.id ? 1 : -1),
    );
    for (const pageSize of [1, 5, 100])
      expect(await listed({ category, price }, "name desc, price, create_time desc", pageSize)).toEqual(expected);
  });

  test("a token of another filter is refused", async () => {
    const first = await store.list({ pageSize: 1, pageToken: "", orderBy: "", filter: { ...anything, category: "mixed" } });
    const others: Partial<ProductFilter>[] = [
      {},
      { category: "range" },
      { category: "mixed", text: "n" },
      { category: "mixed", price: { currency: "CHF" } },
    ];
    for (const filter of others) {
      const other = store.list({ pageSize: 1, pageToken: first.nextPageToken, orderBy: "", filter: { ...anything, ...filter } });
      await expect(other).rejects.toMatchObject({ code: 3, reason: "PAGE_TOKEN_INVALID", domain: "product.v1" });
    }
  });

  test("of 20 updates at once with one etag one succeeds", async () => {
    const product = await create({});
    const etag = toEtag(product.id, 1);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, index) => await update(product.id, { name: `n${index}` }, etag)),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await store.get(product.id)).toMatchObject({ version: 2 });
  });

  test("what does not exist is not found, and all that are unknown are named", async () => {
    const product = await create({});
    await database.transaction(async (trx) => await store.delete(trx, product.id, toEtag(product.id, 1)));
    const notFound = { problem: { kind: "not_found", ids: [product.id] } };
    await expect(store.get(product.id)).rejects.toMatchObject(notFound);
    await expect(update(product.id, {})).rejects.toMatchObject(notFound);
    await expect(database.transaction(async (trx) => await store.delete(trx, product.id, ""))).rejects.toMatchObject(notFound);
    await expect(store.getAll(["x", product.id])).rejects.toMatchObject({
      problem: { kind: "not_found", ids: ["x", product.id] },
    });
  });
});
