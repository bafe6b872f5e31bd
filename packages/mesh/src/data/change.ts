/** A place in the log: right after the change that stands there. A change is its own place. */
export interface LogPosition {
  /** From 1, without a gap, in an order that agrees with that of the commits. 0: before the first change. */
  readonly pos: number;
  /** Id of the change there; empty before the first. */
  readonly eventId: string;
}

/** The place before the first change. */
export const logStart: LogPosition = Object.freeze({ pos: 0, eventId: "" });

/** A change as its writer tells it. */
export interface NewChange {
  /** What has happened, such as `created`. */
  readonly type: string;
  /** Full name of the resource's message, such as `user.v1.User`. */
  readonly aggregateType: string;
  readonly aggregateId: string;
  /** Rises with each change of one resource, its deletion included. */
  readonly aggregateVersion: number;
  /** The resource as it became, or, of a deletion, as it last was: its message in binary. */
  readonly payload: Uint8Array;
}

/** A change as it is read. */
export interface Change extends NewChange, LogPosition {
  /** W3C `traceparent` of the call that made it, or undefined. */
  readonly trace: string | undefined;
  /** When it was written, in ms since 1970. */
  readonly atMs: number;
}
