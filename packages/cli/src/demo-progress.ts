/** Shows how far something is, among the lines that others write. */
export interface Progress {
  /** Says how far a part is. */
  report(part: string, done: number, total: number): void;
  /** Writes whole lines, above the bar where there is one. */
  write(text: string): void;
  /** Removes the bar. */
  end(): void;
}

/** Where and how progress is shown. */
export interface ProgressOptions {
  readonly write: (text: string) => void;
  /** True: a bar that is drawn again and again. False: a line at every quarter. */
  readonly terminal: boolean;
}

const barWidth = 30;
const eraseLine = "\r\u001B[2K";
const counted = new Intl.NumberFormat("en");

/** Creates a display; nothing is shown until something is reported. */
export function createProgress({ write, terminal }: ProgressOptions): Progress {
  let bar = "";
  let quarter = { part: "", shown: 0 };
  const draw = (text: string): void => {
    write(bar === "" ? text : `${eraseLine}${text}`);
    bar = text;
  };
  return {
    report(part, done, total) {
      const count = `${counted.format(done)} of ${counted.format(total)} ${part}`;
      const ratio = total === 0 ? 1 : done / total;
      if (terminal) {
        const filled = Math.floor(ratio * barWidth);
        draw(`  ${"█".repeat(filled)}${"░".repeat(barWidth - filled)}  ${count}`);
        return;
      }
      const reached = Math.floor(ratio * 4);
      if (quarter.part !== part) quarter = { part, shown: 0 };
      if (reached <= quarter.shown) return;
      quarter.shown = reached;
      write(`protoloom: demo data: ${count}\n`);
    },
    write(text) {
      write(bar === "" ? text : `${eraseLine}${text}${bar}`);
    },
    end() {
      if (bar !== "") write(eraseLine);
      bar = "";
    },
  };
}
