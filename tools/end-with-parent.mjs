/**
 * Loaded by `--import` before the script that bootstrap.mjs runs: when the pipe from the bootstrap closes, which it
 * does however the bootstrap ends, this process gets SIGTERM, and can stop what it has started.
 */
import { Socket } from "node:net";

const fd = process.env.PROTOLOOM_PARENT_FD;
// Processes that this one starts may inherit the flag, but not the pipe.
delete process.env.PROTOLOOM_PARENT_FD;
if (fd !== undefined) {
  const pipe = new Socket({ fd: Number(fd), readable: true, writable: false });
  pipe.once("close", () => process.kill(process.pid, "SIGTERM")).on("error", () => undefined);
  pipe.resume();
  pipe.unref();
}
