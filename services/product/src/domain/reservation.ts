/** What a reservation has come to. All but `held` are final. */
export type ReservationState = "held" | "committed" | "released" | "expired";

/** So many units of one product. */
export interface ReservationLine {
  readonly productId: string;
  readonly quantity: number;
}

/** Units of several products that are held together. Times are ms since 1970. */
export interface Reservation {
  readonly id: string;
  /** In the order of the request, each of another product. */
  readonly lines: readonly ReservationLine[];
  readonly state: ReservationState;
  readonly createMs: number;
  readonly expireMs: number;
}

/** The state at a time: what is held has expired once its time has come, whether or not anybody has noted it. */
export function stateAt({ state, expireMs }: Pick<Reservation, "state" | "expireMs">, nowMs: number): ReservationState {
  return state === "held" && expireMs <= nowMs ? "expired" : state;
}
