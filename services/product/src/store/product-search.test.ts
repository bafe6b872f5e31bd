import { systemClock } from "@protoloom/mesh";
import type { Clock } from "@protoloom/mesh";
import type { Database } from "@protoloom/mesh/data";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeOnEachEngine } from "../../../../tools/databases.ts";
import { fold, normalText } from "../domain/product.ts";
import type { Product, ProductFields } from "../domain/product.ts";
import type { ProductTables } from "./migrations.ts";
import { openProductStore } from "../test-rig/open-product-store.ts";
import type { ProductFilter, ProductStore } from "./product-store.ts";

/** Letters whose case, form, order or meaning for LIKE an engine could take in its own way. */
const pieces = [
  ...Array.from("aAiIzZ0 %_\\'\"*?["),
  ...Array.from("İıßẞſﬁΣσςÅåÄäＡａΩΩﷺ①ǅ"),
  ...["\u0301", "\u0308", "\u0307", "e\u0301", "é", "A\u030a", "fi", "SS", "ss", "\u00ad", "\u200d", "\n"],
  ...["😀", "👩‍👧", "\u{1F1E9}\u{1F1EA}", "\u{10400}", "\u{10428}", "\uE000", "\uFFFD", "\u{10FFFF}", "中", "か\u3099", "が"],
];
type Pieces = readonly string[];
const textOf = (from: Pieces, maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...from), { maxLength }).map((parts) => parts.join(""));

const categories = ["", "A", "a", "Å", "%", "_"];
const currencies = ["EUR", "USD", "JPY"];
const fieldsOf = (from: Pieces): fc.Arbitrary<ProductFields> =>
  fc
    .record({
      name: textOf(from, 5),
      description: textOf(from, 6),
      category: fc.constantFrom(...categories),
      price: fc.record({ currency: fc.constantFrom(...currencies), minor: fc.nat({ max: 6 }) }),
    })
    .map(({ name, description, category, price }) => ({
      name: normalText(`n${name}`),
      description: normalText(description),
      category: normalText(category),
      price,
    }));

const bound = fc.option(fc.nat({ max: 6 }), { nil: undefined, freq: 1 });
const filterOf = (from: Pieces): fc.Arbitrary<ProductFilter> =>
  fc
    .record({
      text: fc.oneof(fc.constant(""), fc.constantFrom(...from), textOf(from, 2)),
      category: fc.oneof({ weight: 4, arbitrary: fc.constant("") }, fc.constantFrom(...categories, "A\u030a")),
      price: fc.option(fc.tuple(fc.constantFrom(...currencies), bound, bound), { nil: undefined, freq: 1 }),
    })
    .map(({ text, category, price }) => {
      if (price === undefined) return { text, category };
      const [currency, minMinor, maxMinor] = price;
      const range = { ...(minMinor === undefined ? {} : { minMinor }), ...(maxMinor === undefined ? {} : { maxMinor }) };
      return { text, category, price: { currency, ...range } };
    });

const valueOf = {
  create_time: (product: Product) => product.createMs,
  update_time: (product: Product) => product.updateMs,
  name: (product: Product) => product.name,
  price: (product: Product) => product.price.minor,
};
type Field = keyof typeof valueOf;
interface Term {
  readonly field: Field;
  readonly descending: boolean;
}
const termsArbitrary = fc
  .shuffledSubarray(Object.keys(valueOf) as Field[])
  .chain((fields) => fc.tuple(...fields.map((field) => fc.record({ field: fc.constant(field), descending: fc.boolean() }))));

interface Write {
  readonly kind: "create" | "update" | "delete";
  readonly at: number;
  readonly fields: ProductFields;
}
interface Query {
  readonly filter: ProductFilter;
  readonly terms: readonly Term[];
  readonly pageSize: number;
  /** Made one after each page. */
  readonly writes: readonly Write[];
}
const writeOf = (from: Pieces): fc.Arbitrary<Write> =>
  fc.record({ kind: fc.constantFrom("create", "update", "delete"), at: fc.nat(), fields: fieldsOf(from) });
const queryOf = (from: Pieces): fc.Arbitrary<Query> =>
  fc.record({
    filter: filterOf(from),
    terms: termsArbitrary,
    pageSize: fc.integer({ min: 1, max: 6 }),
    writes: fc.array(writeOf(from), { maxLength: 3 }),
  });
/** Of few letters, so that texts are found. */
const scenarios = fc
  .subarray(pieces, { minLength: 3, maxLength: 8 })
  .chain((from) =>
    fc.tuple(
      fc.array(fieldsOf(from), { minLength: 10, maxLength: 20, size: "max" }),
      fc.array(queryOf(from), { minLength: 4, maxLength: 8, size: "max" }),
    ),
  );

function passes(product: Product, { text, category, price }: ProductFilter): boolean {
  const isFound = [product.name, product.description].some((own) => fold(own).includes(fold(text)));
  if (!isFound || (category !== "" && product.category !== category.normalize("NFC"))) return false;
  if (price === undefined) return true;
  const { minMinor = 0, maxMinor = Number.POSITIVE_INFINITY } = price;
  return product.price.currency === price.currency && product.price.minor >= minMinor && product.price.minor <= maxMinor;
}

/** Numbers by their size, text by its code points. */
function compareValues(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
}

function compareIn(terms: readonly Term[]): (a: Product, b: Product) => number {
  const last = terms.at(-1)?.descending ?? false;
  return (a, b) => {
    for (const { field, descending } of terms.length === 0 ? [{ field: "create_time" as const, descending: false }] : terms) {
      const order = compareValues(valueOf[field](a), valueOf[field](b));
      if (order !== 0) return descending ? -order : order;
    }
    return last ? compareValues(b.id, a.id) : compareValues(a.id, b.id);
  };
}

describeOnEachEngine("a product search", (newPlace) => {
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

  /** Writes to the store and to the model of it. */
  const write = async (model: Map<string, Product>, { kind, at, fields }: Write): Promise<void> => {
    nowMs += at % 2;
    const id = [...model.keys()][at % Math.max(1, model.size)];
    await database.transaction(async (trx) => {
      if (kind === "create" || id === undefined) {
        const product = await store.create(trx, fields);
        model.set(product.id, product);
      } else if (kind === "update") model.set(id, await store.update(trx, id, { fields, etag: "" }));
      else {
        await store.delete(trx, id, "");
        model.delete(id);
      }
    });
  };

  test("gives exactly what a model of it gives, page by page, while the catalogue changes", { timeout: 60_000 }, async () => {
    const seen = { matches: 0, byText: 0, laterPages: 0 };
    await fc.assert(
      fc.asyncProperty(scenarios, async ([catalogue, queries]) => {
        await database.transaction(async (trx) => await trx.deleteFrom("products").execute());
        const model = new Map<string, Product>();
        for (const [at, fields] of catalogue.entries()) await write(model, { kind: "create", at, fields });
        for (const { filter, terms, pageSize, writes } of queries) {
          const order = terms.filter(({ field }) => field !== "price" || filter.price !== undefined);
          const compare = compareIn(order);
          const orderBy = order.map(({ field, descending }) => `${field}${descending ? " desc" : ""}`).join(", ");
          let last: Product | undefined;
          let pageToken = "";
          for (let index = 0; index === 0 || pageToken !== ""; index++) {
            const after = last;
            const expected = [...model.values()]
              .filter((product) => passes(product, filter) && (after === undefined || compare(product, after) > 0))
              .toSorted(compare);
            const page = await store.list({ pageSize, pageToken, orderBy, filter });
            expect(page.products).toEqual(expected.slice(0, pageSize));
            expect(page.nextPageToken === "").toBe(expected.length <= pageSize);
            pageToken = page.nextPageToken;
            last = page.products.at(-1);
            seen.matches += page.products.length;
            if (filter.text !== "") seen.byText += page.products.length;
            if (index > 0) seen.laterPages++;
            const next = writes[index];
            if (next !== undefined) await write(model, next);
          }
        }
      }),
      { seed: 20_260_101, numRuns: 80 },
    );
    // The property says something: there was much to find, and pages went on.
    expect(Math.min(seen.matches / 2_000, seen.byText / 500, seen.laterPages / 500)).toBeGreaterThan(1);
  });

  test("finds each product by any part of its own texts, in any case that has one lower form", async () => {
    await database.transaction(async (trx) => await trx.deleteFrom("products").execute());
    const name = "n%_\\İstanbul Straße ﬁne ΟΔΟΣ e\u0301té 😀 👩‍👧 Ａ①";
    const model = new Map<string, Product>();
    const fields = { name: normalText(name), description: "", category: "", price: { currency: "EUR", minor: 1 } };
    await write(model, { kind: "create", at: 0, fields });
    await write(model, { kind: "create", at: 0, fields: { ...fields, name: "other" } });
    const characters = Array.from(new Intl.Segmenter("en").segment(fields.name), ({ segment }) => segment);
    for (let from = 0; from < characters.length; from++) {
      for (const to of [from + 1, from + 3, characters.length]) {
        const text = characters.slice(from, to).join("");
        const { products } = await store.list({ pageSize: 0, pageToken: "", orderBy: "", filter: { text, category: "" } });
        expect(products.map((product) => product.name)).toContain(fields.name);
      }
    }
  });
});

describe("the form in which text is searched", () => {
  test("is its own form, and the same for each normal form and for lower case", () => {
    fc.assert(
      fc.property(fc.oneof(textOf(pieces, 12), fc.string({ unit: "grapheme" }), fc.string({ unit: "binary" })), (text) => {
        const folded = fold(text);
        expect(fold(folded)).toBe(folded);
        for (const form of ["NFC", "NFD", "NFKC", "NFKD"]) expect(fold(text.normalize(form))).toBe(folded);
        expect(folded).not.toContain("\u0001");
      }),
      { seed: 7, numRuns: 2_000 },
    );
  });
});
