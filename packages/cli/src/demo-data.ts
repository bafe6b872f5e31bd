import type { Random } from "@protoloom/mesh";
import {
  type DemoCurrency,
  type NameGroup,
  categories,
  currencies,
  mailHosts,
  nameGroups,
  remarks,
  series,
} from "./demo-words.ts";

/** A user of user.v1, in JSON. */
export interface DemoUser {
  readonly name: string;
  readonly email: string;
}

/** A product of product.v1, in JSON, with the units that there are of it. */
export interface DemoProduct {
  readonly name: string;
  readonly description: string;
  readonly category: string;
  readonly price: { readonly currencyCode: string; readonly units: string; readonly nanos: number };
  readonly stock: number;
}

/**
 * Users whose names and addresses all differ. The same chance gives the same users, and fewer of them the first of more.
 * Throws where the words do not suffice.
 */
export function demoUsers(count: number, random: Random): DemoUser[] {
  const people = shuffle(
    nameGroups.flatMap((group) => group.given.flatMap((given) => group.family.map((family) => ({ group, given, family })))),
    random,
  );
  if (people.length < count) throw new Error(`there are words for ${people.length} users, not for ${count}`);
  return people.slice(0, count).map(({ group, given, family }) => ({
    name: fullName(group, written(given), written(family)),
    email: `${latin(given)}.${latin(family)}@${choose(mailHosts, random)}`,
  }));
}

/** Products whose names all differ; repeatable as `demoUsers`. */
export function demoProducts(count: number, random: Random): DemoProduct[] {
  const kinds = categories.flatMap((category) =>
    category.things.flatMap((thing) => category.finishes.map((finish) => ({ category, thing, finish }))),
  );
  const names = shuffle(
    kinds.flatMap((kind) => series.map((name) => ({ ...kind, series: name }))),
    random,
  );
  if (names.length < count) throw new Error(`there are words for ${names.length} products, not for ${count}`);
  return names.slice(0, count).map(({ category, thing: [thing, minEur, maxEur], finish, series: name }) => ({
    name: `${name} ${thing}, ${finish}`,
    description: `${capital(thing)} of the series ${name}: ${finish}. ${choose(remarks, random)}`,
    category: category.name,
    // Most are near the lower end.
    price: priceOf(minEur + (maxEur - minEur) * random() ** 2, chooseCurrency(random)),
    stock: 1 + Math.floor(random() ** 2 * 400),
  }));
}

function fullName({ familyFirst = false, separator = " " }: NameGroup, given: string, family: string): string {
  return familyFirst ? `${family}${separator}${given}` : `${given}${separator}${family}`;
}

function written(word: string): string {
  return word.split("/")[0] ?? word;
}

function latin(word: string): string {
  return (word.split("/")[1] ?? word).toLowerCase();
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function chooseCurrency(random: Random): DemoCurrency {
  let left = random() * currencies.reduce((sum, { share }) => sum + share, 0);
  return currencies.find(({ share }) => (left -= share) < 0) ?? (currencies[0] as DemoCurrency);
}

function priceOf(eur: number, { code, perEur, decimals, step, below }: DemoCurrency): DemoProduct["price"] {
  const minorUnits = Math.max(1, Math.round((eur * perEur * 10 ** decimals) / step)) * step - below;
  const scale = 10 ** decimals;
  return {
    currencyCode: code,
    units: String(Math.floor(minorUnits / scale)),
    nanos: (minorUnits % scale) * (1_000_000_000 / scale),
  };
}

function choose<T>(items: readonly [T, ...T[]], random: Random): T {
  return items[Math.floor(random() * items.length)] ?? items[0];
}

/** A copy in another order (Fisher and Yates). */
function shuffle<T>(items: readonly T[], random: Random): T[] {
  const shuffled = [...items];
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other] as T, shuffled[last] as T];
  }
  return shuffled;
}
