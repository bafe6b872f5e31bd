import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { createStaticResolver } from "../discovery/static-resolver.ts";
import { createTransport } from "./create-transport.ts";
import { frame, startRawServer } from "./test-servers/raw-server.ts";

test.for([
  ["within the read of an answer", false],
  ["after it", true],
] as const)("a request that is cancelled %s is not told to be complete", async ([, later]) => {
  const events: string[] = [];
  const closed = Promise.withResolvers<void>();
  await using server = await startRawServer((stream) => {
    for (const event of ["data", "aborted", "end"]) stream.on(event, () => events.push(event));
    stream.on("close", closed.resolve);
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.write(frame(Buffer.from("first")));
  });
  await using transport = createTransport({ resolver: createStaticResolver() });
  const stream = transport
    .endpoint(server.endpoint)
    .stream({ path: "/raw.v1.Raw/Call", metadata: {}, deadline: performance.now() + 5_000 });
  await stream.send(Buffer.from("half of it"));
  await stream.messages[Symbol.asyncIterator]().next();
  if (later) await setImmediate();
  stream.cancel();
  await closed.promise;
  // Node ends what it has read once the stream is gone; END_STREAM would come before.
  expect(events).toEqual(["data", "aborted", "end"]);
});
