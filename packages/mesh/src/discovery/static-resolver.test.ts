import { expect, test } from "vitest";
import { createEndpoint } from "../base/endpoint.ts";
import type { EndpointSet } from "./resolver.ts";
import { createStaticResolver } from "./static-resolver.ts";

const first = createEndpoint("127.0.0.1", 1);
const second = createEndpoint("127.0.0.1", 2);

test("a static resolver gives what it was told, then each change, and ends with its signal or its disposal", async () => {
  const resolver = createStaticResolver({ user: [first] });
  const stop = new AbortController();
  const users = resolver.watch("user", stop.signal)[Symbol.asyncIterator]();
  expect(await next(users)).toEqual([first]);
  const changed = next(users);
  resolver.set("user", [first, second]);
  expect(await changed).toEqual([first, second]);
  const ended = users.next();
  stop.abort();
  expect((await ended).done).toBe(true);

  const others = resolver.watch("other", new AbortController().signal)[Symbol.asyncIterator]();
  expect(await next(others)).toEqual([]);
  const closed = others.next();
  await resolver[Symbol.asyncDispose]();
  expect((await closed).done).toBe(true);
});

test("a static resolver gives a slow follower the latest set, and not those between", async () => {
  await using resolver = createStaticResolver({ user: [] });
  const users = resolver.watch("user", new AbortController().signal)[Symbol.asyncIterator]();
  await next(users);
  resolver.set("user", [first]);
  resolver.set("user", [second]);
  expect(await next(users)).toEqual([second]);
});

test("a static resolver lists its services by name, as they come and go", async () => {
  await using resolver = createStaticResolver({ user: [first] });
  const services = resolver.watchServices(new AbortController().signal)[Symbol.asyncIterator]();
  const names = async (): Promise<readonly string[]> =>
    ((await services.next()).value ?? []).map(({ name }: { name: string }) => name);
  expect(await names()).toEqual(["user"]);
  resolver.set("product", [second]);
  expect(await names()).toEqual(["product", "user"]);
  resolver.remove("user");
  expect(await names()).toEqual(["product"]);
});

async function next(iterator: AsyncIterator<EndpointSet>): Promise<EndpointSet["endpoints"] | undefined> {
  const { value, done } = await iterator.next();
  return done === true ? undefined : value.endpoints;
}
