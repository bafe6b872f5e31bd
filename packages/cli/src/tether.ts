/**
 * Loaded by `--import` before the main module of a Node process that `launch` starts: when the channel to the launcher
 * closes, which it does however the launcher ends, the process gets SIGTERM, and is killed if it has not ended by then.
 */
const killAfterMs = 3_000;

if (process.channel !== undefined) {
  process.once("disconnect", () => {
    setTimeout(() => process.kill(process.pid, "SIGKILL"), killAfterMs).unref();
    process.kill(process.pid, "SIGTERM");
  });
  // A listener would keep the process alive, and a process that has done its work may end before its launcher.
  process.channel.unref();
}
