/** How much there is of one product. Times are ms since 1970. */
export interface Stock {
  readonly productId: string;
  /** Units that are there, reserved or not. */
  readonly onHand: number;
  /** Units of those that are reserved by reservations that have not expired. */
  readonly reserved: number;
  /** Undefined: it never changed. */
  readonly updateMs: number | undefined;
}

/** Units that can be reserved. */
export function available({ onHand, reserved }: Pick<Stock, "onHand" | "reserved">): number {
  return onHand - reserved;
}
