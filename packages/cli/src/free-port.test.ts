import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { findPort } from "./free-port.ts";

test.for(["127.0.0.1", "0.0.0.0"])("a port that somebody listens on at %s is replaced by a free one", async (host) => {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    const found = await findPort(port, { reserved: new Set() });
    expect(found.wanted).toBe(false);
    expect(found.port).not.toBe(port);
  } finally {
    server.close();
  }
});

test("a free port is given as wanted, and not a second time", async () => {
  const reserved = new Set<number>();
  const { port } = await findPort(0, { reserved });
  expect(port).toBeGreaterThan(0);
  expect(await findPort(port, { reserved: new Set() })).toEqual({ port, wanted: true });
  const second = await findPort(port, { reserved });
  expect(second.wanted).toBe(false);
  expect(reserved).toEqual(new Set([port, second.port]));
});
