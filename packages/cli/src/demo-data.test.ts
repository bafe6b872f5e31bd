import { seededRandom } from "@protoloom/mesh/process";
import { describe, expect, test } from "vitest";
import { demoProducts, demoUsers } from "./demo-data.ts";

const users = demoUsers(200, seededRandom(1));
const products = demoProducts(1_000, seededRandom(1));

test("the same seed gives the same data, another seed other data, and fewer the first of more", () => {
  expect(demoUsers(200, seededRandom(1))).toEqual(users);
  expect(demoProducts(1_000, seededRandom(1))).toEqual(products);
  expect(demoUsers(200, seededRandom(2))).not.toEqual(users);
  expect(demoUsers(10, seededRandom(1))).toEqual(users.slice(0, 10));
  expect(demoProducts(10, seededRandom(1))).toEqual(products.slice(0, 10));
});

test("more than there are words for is refused", () => {
  expect(() => demoUsers(100_000, seededRandom(1))).toThrow(/there are words for \d+ users, not for 100000/);
  expect(() => demoProducts(100_000, seededRandom(1))).toThrow(/there are words for \d+ products/);
});

describe("users", () => {
  test("have names and addresses that all differ, at hosts that belong to nobody", () => {
    expect(new Set(users.map(({ name }) => name)).size).toBe(200);
    expect(new Set(users.map(({ email }) => email)).size).toBe(200);
    for (const { email } of users) expect(email).toMatch(/^[a-z]+\.[a-z]+@example\.(?:com|org|net)$/);
  });

  test("are all different up to the last", () => {
    const all = demoUsers(360, seededRandom(3));
    expect(new Set(all.map(({ email }) => email.split("@")[0])).size).toBe(all.length);
  });

  test("write their names in many scripts, in Unicode NFC", () => {
    for (const script of ["Latin", "Greek", "Cyrillic", "Arabic", "Hebrew", "Devanagari", "Han", "Hangul"])
      expect(users.filter(({ name }) => new RegExp(`\\p{Script=${script}}`, "u").test(name)).length, script).toBeGreaterThan(0);
    for (const { name } of users) expect(name.normalize("NFC")).toBe(name);
  });
});

describe("products", () => {
  test("have names that all differ, within the limits of the contract", () => {
    expect(new Set(products.map(({ name }) => name)).size).toBe(1_000);
    for (const { name, description, category } of products) {
      expect(name.length).toBeLessThanOrEqual(200);
      expect(category.length).toBeLessThanOrEqual(100);
      for (const text of [name, description, category]) expect(text.normalize("NFC")).toBe(text);
    }
  });

  test("are in every category, and cost whole minor units of several currencies", () => {
    expect(new Set(products.map(({ category }) => category)).size).toBe(12);
    const decimals: Record<string, number> = { EUR: 2, USD: 2, GBP: 2, JPY: 0, SEK: 2, KWD: 3 };
    expect(new Set(products.map(({ price }) => price.currencyCode))).toEqual(new Set(Object.keys(decimals)));
    for (const { price } of products) {
      expect(price.nanos % 10 ** (9 - (decimals[price.currencyCode] ?? 9))).toBe(0);
      expect(price.nanos).toBeLessThan(1_000_000_000);
      expect(Number(price.units) * 1_000_000_000 + price.nanos).toBeGreaterThan(0);
    }
  });

  test("have stock", () => {
    for (const { stock } of products) expect(Number.isInteger(stock) && stock >= 1 && stock <= 400).toBe(true);
  });
});
