import { sql } from "kysely";
import type { RawBuilder, SqlBool } from "kysely";
import { Code } from "../base/code.ts";
import { MeshError } from "../base/mesh-error.ts";

/** One column of an order. */
export interface OrderTerm {
  readonly column: string;
  readonly descending: boolean;
}

/** What an `order_by` may name. */
export interface OrderByOptions {
  /** Columns by the names of the fields in the proto. Columns hold no NULL. */
  readonly fields: Readonly<Record<string, string>>;
  /** What holds for an empty `order_by`, in its own words. */
  readonly fallback: string;
  /** Proto package whose `Reason` has ORDER_BY_INVALID. */
  readonly domain: string;
}

/** The values of the last row of a page, in the order of the terms. */
export type Position = readonly (string | number)[];

/**
 * Reads `name desc, create_time` (AIP-132); ` asc` may stand too. The id is the last term, in the direction of the one
 * before, so that no two rows are equal. An unknown field, a field that stands twice or a direction that is none is
 * INVALID_ARGUMENT (ORDER_BY_INVALID).
 */
export function parseOrderBy(text: string, { fields, fallback, domain }: OrderByOptions): readonly OrderTerm[] {
  const invalid = (why: string): MeshError =>
    new MeshError(
      Code.INVALID_ARGUMENT,
      `order_by ${JSON.stringify(text)}: ${why}; fields are ${Object.keys(fields).join(", ")}`,
      {
        reason: "ORDER_BY_INVALID",
        domain,
      },
    );
  const terms: OrderTerm[] = [];
  for (const part of (text.trim() === "" ? fallback : text).split(",")) {
    const [field = "", direction = "asc", ...rest] = part.trim().split(/\s+/);
    if (!Object.hasOwn(fields, field)) throw invalid(`${JSON.stringify(field)} is no field to order by`);
    if (rest.length > 0 || (direction !== "asc" && direction !== "desc"))
      throw invalid(`after ${field} only desc or asc may stand`);
    const column = fields[field] as string;
    if (terms.some((term) => term.column === column)) throw invalid(`${field} stands twice`);
    terms.push({ column, descending: direction === "desc" });
  }
  return [...terms, { column: "id", descending: terms.at(-1)?.descending ?? false }];
}

/**
 * The condition of a row that comes after a position: one index range, of all terms where they have the same direction, else
 * of the first one, which stands before the rest so that an engine does not take the cases apart and sort what it finds.
 */
export function isAfter(terms: readonly OrderTerm[], position: Position): RawBuilder<SqlBool> {
  const [first] = terms;
  if (first === undefined || terms.length !== position.length) throw new Error("a position has one value for each term");
  if (terms.every(({ descending }) => descending === first.descending)) {
    const columns = sql.join(terms.map(({ column }) => sql.ref(column)));
    return sql`(${columns}) ${beyond(first)} (${sql.join([...position])})`;
  }
  const cases = terms.map((term, index) => {
    const equal = terms.slice(0, index).map(({ column }, at) => sql`${sql.ref(column)} = ${position[at]}`);
    return sql`(${sql.join([...equal, sql`${sql.ref(term.column)} ${beyond(term)} ${position[index]}`], sql` and `)})`;
  });
  const begin = sql`${sql.ref(first.column)} ${beyond(first)}= ${position[0]}`;
  return sql`(${begin} and (${sql.join(cases, sql` or `)}))`;
}

function beyond({ descending }: OrderTerm): RawBuilder<unknown> {
  return descending ? sql`<` : sql`>`;
}
