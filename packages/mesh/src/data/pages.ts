import { sql } from "kysely";
import type { SelectQueryBuilder } from "kysely";
import { isAfter } from "./order-by.ts";
import type { OrderTerm } from "./order-by.ts";
import type { PageTokens } from "./page-token.ts";

/** Sizes of a page (AIP-158). */
export const pageDefaults = {
  /** Rows in a page when the request says 0. */
  size: 50,
  /** Most rows in a page; a larger size is lowered to it. */
  maxSize: 100,
} as const;

/** What is asked for. */
export interface PageRequest {
  readonly pageSize: number;
  /** `next_page_token` of the page before, or empty. */
  readonly pageToken: string;
  readonly order: readonly OrderTerm[];
  /** Method and filters, in JSON: a token holds for the same ones only. */
  readonly filters: unknown;
}

/** Rows of a page, and the token of the next one: empty on the last. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly nextPageToken: string;
}

/**
 * Reads one page by keyset: a page goes on after the last row of the one before, whatever was written meanwhile, and costs
 * the same at any depth. The rows hold all columns of the order.
 */
export async function readPage<Db, Table extends keyof Db, Row extends object>(
  query: SelectQueryBuilder<Db, Table, Row>,
  tokens: PageTokens,
  { pageSize, pageToken, order, filters }: PageRequest,
): Promise<Page<Row>> {
  const size = Math.min(pageSize > 0 ? pageSize : pageDefaults.size, pageDefaults.maxSize);
  const bound = JSON.stringify([filters, order]);
  let page = pageToken === "" ? query : query.where(isAfter(order, tokens.read(bound, pageToken)));
  for (const { column, descending } of order) page = page.orderBy(sql.ref(column), descending ? "desc" : "asc");
  const found = await page.limit(size + 1).execute();
  const rows = found.slice(0, size) as Row[];
  const last = rows.at(-1) as Readonly<Record<string, string | number>> | undefined;
  const isLast = found.length <= size || last === undefined;
  return {
    rows,
    nextPageToken: isLast
      ? ""
      : tokens.issue(
          bound,
          order.map(({ column }) => last[column] as string | number),
        ),
  };
}
