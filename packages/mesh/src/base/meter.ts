/** Labels of one time series, such as `{ service: "user" }`. */
export type Labels = Readonly<Record<string, string>>;

/** Counts and measures. Names are Prometheus names, `mesh_<area>_<what>_<unit>`. */
export interface Meter {
  /** Adds to a counter; `by` defaults to 1. */
  count(name: string, labels?: Labels, by?: number): void;
  /** Sets a gauge. */
  gauge(name: string, value: number, labels?: Labels): void;
  /** Records one value of a histogram. */
  record(name: string, value: number, labels?: Labels): void;
}

/** Measures nothing. */
export const silentMeter: Meter = { count: () => {}, gauge: () => {}, record: () => {} };
