/** How the messages of a stream stand in the body of an answer. */
export interface StreamFraming {
  readonly contentType: string;
  /** What stands before a message: the first one, or a later one. */
  before(isFirst: boolean): string;
  /** What stands after a message. */
  readonly after: string;
  /** The end of the body; `isEmpty` where there was no message. */
  end(isEmpty: boolean): string;
  /** The error that ends the stream in the middle, as JSON of google.rpc.Status. */
  error(statusJson: string): string;
}

/** One array, written as messages arrive. */
const array: StreamFraming = {
  contentType: "application/json",
  before: (isFirst) => (isFirst ? "[" : ","),
  after: "",
  end: (isEmpty) => (isEmpty ? "[]" : "]"),
  error: (statusJson) => `,{"error":${statusJson}}]`,
};

/** One message a line. */
const lines: StreamFraming = {
  contentType: "application/x-ndjson",
  before: () => "",
  after: "\n",
  end: () => "",
  error: (statusJson) => `{"error":${statusJson}}\n`,
};

/** Server-sent events (WHATWG HTML, section 9.2). */
const events: StreamFraming = {
  contentType: "text/event-stream",
  before: () => "data: ",
  after: "\n\n",
  end: () => "",
  error: (statusJson) => `event: error\ndata: {"error":${statusJson}}\n\n`,
};

const framings: ReadonlyMap<string, StreamFraming> = new Map(
  [array, lines, events].map((framing) => [framing.contentType, framing]),
);

/** Chooses by an Accept header: the known type of highest quality, the first of several; an array where none is named. */
export function chooseFraming(accept: string | undefined): StreamFraming {
  let best: StreamFraming = array;
  let bestQuality = 0;
  for (const part of (accept ?? "").split(",")) {
    const [type = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    const framing = framings.get(type);
    const quality = Number(parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? 1);
    if (framing === undefined || !(quality > bestQuality)) continue;
    best = framing;
    bestQuality = quality;
  }
  return best;
}
