import { currencyDecimals } from "./currency.ts";
import { ProductError } from "./product-error.ts";

/** An amount in minor units of its currency: exact, and at most 2^53 - 1 of them. */
export interface Price {
  readonly currency: string;
  readonly minor: number;
}

/** An amount as google.type.Money has it: whole units, and 10^-9 of a unit beside them. */
export interface Amount {
  readonly currencyCode: string;
  readonly units: bigint;
  readonly nanos: number;
}

const nanosOfUnit = 1_000_000_000;

/**
 * Reads a price. Problem (price_invalid): a currency that ISO 4217 does not have, an amount that is negative, is no whole
 * number of minor units, or is too large.
 */
export function toPrice({ currencyCode, units, nanos }: Amount, field: string): Price {
  const invalid = (why: string): ProductError => new ProductError({ kind: "price_invalid", field, why });
  const decimals = currencyDecimals(currencyCode);
  if (decimals === undefined) throw invalid(`${JSON.stringify(currencyCode)} is no currency of ISO 4217`);
  if (units < 0n || nanos < 0) throw invalid("an amount is not negative");
  if (nanos >= nanosOfUnit) throw invalid(`nanos are ${nanos}, and have to be less than ${nanosOfUnit}`);
  const nanosOfMinor = nanosOfUnit / 10 ** decimals;
  if (nanos % nanosOfMinor !== 0) {
    throw invalid(`${currencyCode} has ${decimals} decimals: nanos are ${nanos}, and have to be a multiple of ${nanosOfMinor}`);
  }
  const minor = units * 10n ** BigInt(decimals) + BigInt(nanos / nanosOfMinor);
  if (minor > Number.MAX_SAFE_INTEGER) throw invalid(`an amount has at most ${Number.MAX_SAFE_INTEGER} minor units`);
  return { currency: currencyCode, minor: Number(minor) };
}

/** The amount of a price. */
export function fromPrice({ currency, minor }: Price): Amount {
  return toAmount(currency, BigInt(minor));
}

/** The amount of so many minor units, however many. */
export function toAmount(currency: string, minor: bigint): Amount {
  const decimals = currencyDecimals(currency);
  if (decimals === undefined) throw new Error(`a price is kept in ${currency}, which is no currency of ISO 4217`);
  const scale = 10n ** BigInt(decimals);
  return { currencyCode: currency, units: minor / scale, nanos: Number(minor % scale) * (nanosOfUnit / Number(scale)) };
}
