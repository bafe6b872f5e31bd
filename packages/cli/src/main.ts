import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { helpText, parseCommandLine } from "./command-line.ts";
import { up } from "./up.ts";

/** A terminal, or a parent that forwards, may send one Ctrl-C twice: within this time, in ms, it counts once. */
const sameSignalMs = 500;

const command = parseCommandLine(process.argv.slice(2));
// A reader that goes, as in `protoloom up | head`, or a terminal that closes must not leave the processes behind.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

switch (command.kind) {
  case "help":
    process.stdout.write(helpText);
    break;
  case "version": {
    const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
    process.stdout.write(`${manifest.version}\n`);
    break;
  }
  case "usage-error":
    process.stderr.write(`protoloom: ${command.message}\nprotoloom --help lists what it takes\n`);
    process.exitCode = 2;
    break;
  case "up": {
    const [stop, kill] = [new AbortController(), new AbortController()];
    let firstAtMs: number | undefined;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        firstAtMs ??= performance.now();
        stop.abort();
        // Ctrl-C is a person who will not wait; SIGTERM is repeated by whatever watches us.
        if (signal === "SIGINT" && performance.now() - firstAtMs > sameSignalMs) kill.abort();
      });
    }
    process.exitCode = await up(command.options, {
      env: process.env,
      clock: {
        monotonicMs: () => performance.now(),
        sleep: (ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }),
      },
      write: (text) => process.stdout.write(text),
      writeError: (text) => process.stderr.write(text),
      color: process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "",
      terminal: process.stdout.isTTY,
      stop: stop.signal,
      kill: kill.signal,
    });
  }
}
