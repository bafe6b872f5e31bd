/** A filter that cannot be read, or that does not fit what it filters. */
export class FilterError extends Error {
  constructor(text: string, options?: ErrorOptions) {
    super(text, options);
    this.name = "FilterError";
  }
}
