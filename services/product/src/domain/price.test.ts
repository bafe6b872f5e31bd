import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { currencyDecimals } from "./currency.ts";
import { fromPrice, toPrice } from "./price.ts";

describe("a price", () => {
  test.each([
    ["USD", 12n, 340_000_000, 1234],
    ["USD", 0n, 10_000_000, 1],
    ["USD", 0n, 0, 0],
    ["JPY", 500n, 0, 500],
    ["KWD", 1n, 5_000_000, 1005],
    ["CLF", 2n, 100_000, 20_001],
    ["EUR", 90_071_992_547_409n, 910_000_000, Number.MAX_SAFE_INTEGER],
  ])("%s %s units and %i nanos are %i minor units, and back", (currencyCode, units, nanos, minor) => {
    expect(toPrice({ currencyCode, units, nanos }, "price")).toEqual({ currency: currencyCode, minor });
    expect(fromPrice({ currency: currencyCode, minor })).toEqual({ currencyCode, units, nanos });
  });

  test.each([
    ["an unknown currency", "XXX", 1n, 0, /no currency/],
    ["no currency", "", 1n, 0, /no currency/],
    ["a currency in lower case", "usd", 1n, 0, /no currency/],
    ["a third decimal of a dollar", "USD", 1n, 1_000_000, /multiple of 10000000/],
    ["a fraction of a yen", "JPY", 1n, 500_000_000, /multiple of 1000000000/],
    ["a fourth decimal of a dinar", "KWD", 1n, 100_000, /multiple of 1000000/],
    ["a negative amount", "USD", -1n, 0, /not negative/],
    ["negative nanos", "USD", 1n, -10_000_000, /not negative/],
    ["nanos of a whole unit", "USD", 1n, 1_000_000_000, /less than/],
    ["2^53 minor units", "EUR", 90_071_992_547_409n, 920_000_000, /at most/],
    ["more than fits int64 in minor units", "KWD", 9_223_372_036_854_775_807n, 0, /at most/],
  ])("%s is refused", (_, currencyCode, units, nanos, why) => {
    const refused = (): unknown => toPrice({ currencyCode, units, nanos }, "product.price");
    expect(refused).toThrow(
      expect.objectContaining({ problem: { kind: "price_invalid", field: "product.price", why: expect.stringMatching(why) } }),
    );
  });

  test("every amount of minor units survives both ways", () => {
    const currencies = fc.constantFrom("JPY", "USD", "KWD", "CLF");
    fc.assert(
      fc.property(currencies, fc.nat({ max: Number.MAX_SAFE_INTEGER }), (currency, minor) => {
        expect(toPrice(fromPrice({ currency, minor }), "price")).toEqual({ currency, minor });
      }),
      { seed: 7 },
    );
  });

  test("currencies have the decimals of ISO 4217", () => {
    expect(["JPY", "ISK", "USD", "HUF", "KWD", "IQD", "UYW", "usd", "XAU", "toString"].map(currencyDecimals)).toEqual([
      0,
      0,
      2,
      2,
      3,
      3,
      4,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
