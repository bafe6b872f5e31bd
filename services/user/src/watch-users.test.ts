import { createServer, connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { UserService } from "@protoloom/contracts";
import type { User, WatchUsersResponse } from "@protoloom/contracts/user/v1";
import { resumeWatch, seededRandom } from "@protoloom/mesh";
import { fromEtag } from "@protoloom/mesh/data";
import { callError, connectTo, eventually, observeStreams } from "@protoloom/testing";
import { expect, test } from "vitest";
import { describeOnEachEngine } from "../../../tools/databases.ts";
import { serveUsers, startUsers } from "./test-rig/start-users.ts";
import type { Users } from "./test-rig/start-users.ts";

/** What a message tells, in short. */
function told({ change }: WatchUsersResponse): string {
  switch (change?.$case) {
    case "existing":
    case "created":
    case "updated":
    case "deleted":
      return `${change.$case} ${change.value.name}`;
    default:
      return change?.$case ?? "unknown";
  }
}

/** Reads messages until one tells `last`. */
async function readUntil(messages: AsyncIterable<WatchUsersResponse>, last: string): Promise<readonly WatchUsersResponse[]> {
  const read: WatchUsersResponse[] = [];
  for await (const message of messages) {
    read.push(message);
    if (told(message) === last) break;
  }
  return read;
}

/** A relay in front of a server, whose connections a test can cut. */
async function startRelay(address: string, resources: AsyncDisposableStack): Promise<{ address: string; cut(): void }> {
  const [host, port] = address.split(":");
  const sockets = new Set<Socket>();
  const relay = createServer((near) => {
    const far = connect({ host: host ?? "", port: Number(port) });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on("error", () => other.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  resources.defer(() => {
    cut();
    relay.close();
  });
  return { address: `127.0.0.1:${(relay.address() as AddressInfo).port}`, cut };
}

/** What a reader of a watch knows of the users: the version of each. Throws for a change that is repeated, lost or late. */
class Replica {
  readonly versions = new Map<string, number>();
  readonly deleted = new Set<string>();
  changeCount = 0;

  clear(): void {
    this.versions.clear();
    this.deleted.clear();
    this.changeCount = 0;
  }

  apply({ change }: WatchUsersResponse): void {
    if (change === undefined || change.$case === "heartbeat" || change.$case === "snapshotEnd") return;
    const { id, etag } = change.value;
    const version = fromEtag(id, etag) ?? Number.NaN;
    const before = this.versions.get(id);
    const expected = change.$case === "deleted" ? before : change.$case === "existing" ? version : (before ?? 0) + 1;
    const isFirst = change.$case === "created" || change.$case === "existing";
    if (version !== expected || this.deleted.has(id) || isFirst !== (before === undefined))
      throw new Error(`${change.$case} of ${id} at version ${version} comes after version ${before}`);
    if (change.$case !== "existing") this.changeCount += 1;
    if (change.$case === "deleted") {
      this.versions.delete(id);
      this.deleted.add(id);
    } else this.versions.set(id, version);
  }
}

/** Eight writers at once: users are made, changed by anyone, and deleted. Resolves when `count` changes are made. */
async function writeChanges(users: Users, count: number, onChange?: (made: number) => unknown): Promise<void> {
  const random = seededRandom(7);
  const known: string[] = [];
  let begun = 0;
  let made = 0;
  const one = async (): Promise<void> => {
    const dice = random();
    const id = known[Math.floor(random() * known.length)];
    if (id === undefined || dice < 0.2) {
      known.push((await users.createUser({ user: { name: "new", email: `${begun}-${dice}@example.org` } })).id);
    } else if (dice < 0.95) await users.updateUser({ user: { id, name: `changed ${dice}` } });
    else {
      await users.deleteUser({ id });
      known.splice(known.indexOf(id), 1);
    }
  };
  const write = async (): Promise<void> => {
    while (begun < count) {
      begun += 1;
      try {
        await one();
        made += 1;
      } catch (error) {
        // Another writer has just deleted the user: that was no change.
        if ((error as { reason?: string }).reason !== "USER_NOT_FOUND") throw error;
        begun -= 1;
      }
      await onChange?.(made);
    }
  };
  await Promise.all(Array.from({ length: 8 }, write));
}

async function allVersions(users: Users): Promise<ReadonlyMap<string, number>> {
  const all: User[] = [];
  let pageToken = "";
  do {
    const page = await users.listUsers({ pageSize: 100, pageToken });
    all.push(...page.users);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return new Map(all.map(({ id, etag }) => [id, fromEtag(id, etag) ?? 0]));
}

describeOnEachEngine("WatchUsers", (newPlace) => {
  test("gives a snapshot, its end, then each change, and resumes behind any of them", async () => {
    await using resources = new AsyncDisposableStack();
    const users = await startUsers(resources.use(newPlace("user")), resources);
    const ada = await users.createUser({ user: { name: "Ada", email: "ada@example.org" } });
    await users.createUser({ user: { name: "Bob", email: "bob@example.org" } });
    const watching = users.watchUsers({})[Symbol.asyncIterator]();
    const next = async (): Promise<WatchUsersResponse> => (await watching.next()).value as WatchUsersResponse;
    const snapshot = [await next(), await next(), await next()];
    expect(snapshot.map(told)).toEqual(["existing Ada", "existing Bob", "snapshotEnd"]);
    expect(snapshot[0]?.change).toEqual({ $case: "existing", value: ada });
    expect(snapshot.map(({ resumeToken }) => resumeToken === "")).toEqual([true, true, false]);

    const changed = await users.updateUser({ user: { id: ada.id, name: "Ada L." } });
    await users.updateUser({ user: { id: ada.id } });
    await callError(users.createUser({ user: { name: "Bob", email: "bob@example.org" } }));
    await users.deleteUser({ id: ada.id });
    await users.createUser({ user: { name: "Eve", email: "eve@example.org" } });
    const changes = [await next(), await next(), await next()];
    await watching.return?.();
    expect(changes.map(told)).toEqual(["updated Ada L.", "deleted Ada L.", "created Eve"]);
    expect(changes[1]?.change).toEqual({ $case: "deleted", value: changed });

    for (const [index, { resumeToken }] of [...snapshot.slice(2), ...changes.slice(0, 2)].entries()) {
      const rest = await readUntil(users.watchUsers({ resumeToken }), "created Eve");
      expect(rest).toEqual(changes.slice(index));
    }
  });

  test("a request that is repeated is one change", async () => {
    await using resources = new AsyncDisposableStack();
    const users = await startUsers(resources.use(newPlace("user")), resources);
    const begin = (await readUntil(users.watchUsers({}), "snapshotEnd")).at(-1)?.resumeToken ?? "";
    const request = { user: { name: "Once", email: "once@example.org" }, requestId: "once" };
    await Promise.all(Array.from({ length: 20 }, async () => await users.createUser(request)));
    await users.createUser({ user: { name: "Last", email: "last@example.org" } });
    const changes = await readUntil(users.watchUsers({ resumeToken: begin }), "created Last");
    expect(changes.map(told)).toEqual(["created Once", "created Last"]);
  });

  test("a token of another database has expired, what is none is refused", async () => {
    await using resources = new AsyncDisposableStack();
    const users = await startUsers(resources.use(newPlace("user")), resources);
    const others = await startUsers(resources.use(newPlace("user")), resources);
    const foreign = (await readUntil(others.watchUsers({}), "snapshotEnd")).at(-1)?.resumeToken ?? "";
    const errorWith = async (resumeToken: string): Promise<unknown> =>
      await callError(readUntil(users.watchUsers({ resumeToken }), "never"));
    expect(await errorWith(foreign)).toMatchObject({ code: 11, reason: "RESUME_TOKEN_EXPIRED", domain: "user.v1" });
    expect(await errorWith("garbage")).toMatchObject({ code: 3, reason: "RESUME_TOKEN_INVALID", domain: "user.v1" });
    expect(await errorWith("x".repeat(257))).toMatchObject({ code: 3, reason: "CONTRACT_VIOLATED" });
  });

  test(
    "4,000 changes by 8 writers, while the watcher is cut off 20 times, come each once and in order",
    { timeout: 120_000 },
    async () => {
      await using resources = new AsyncDisposableStack();
      const server = await serveUsers(resources.use(newPlace("user")), resources);
      const users = server.mesh.client(UserService);
      const relay = await startRelay(server.address, resources);
      const watching = resources.use(connectTo({ user: [relay.address] })).client(UserService);
      const count = 4_000;
      const replica = new Replica();
      let cuts = 0;
      let failures = 0;
      let snapshots = 0;
      let written: Promise<void> | undefined;
      // One cut in each part of the changes, and the writers go on to the next when it has been noticed.
      const part = Math.ceil(count / 21);
      const cutNow = (): void => {
        if (cuts === 20 || replica.changeCount < part * (cuts + 0.5)) return;
        cuts += 1;
        relay.cut();
      };
      const untilNoticed = async (made: number): Promise<void> => {
        while (failures < 20 && made > part * (failures + 1)) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      const steps = resumeWatch({
        watch: (resumeToken, signal) => watching.watchUsers({ resumeToken }, { signal }),
        tokenOf: ({ resumeToken }) => resumeToken,
        signal: AbortSignal.timeout(110_000),
        onFailure: () => (failures += 1),
      });
      for await (const step of steps) {
        if (step.kind === "begin") snapshots += 1;
        else {
          replica.apply(step.message);
          if (step.message.change?.$case === "snapshotEnd") written = writeChanges(users, count, untilNoticed);
        }
        cutNow();
        if (replica.changeCount === count) break;
      }
      await written;
      expect({ failures, snapshots, changes: replica.changeCount }).toEqual({ failures: 20, snapshots: 1, changes: count });
      expect(replica.versions).toEqual(await allVersions(users));
    },
  );

  test("a snapshot under writes and the changes behind it make the final state", { timeout: 60_000 }, async () => {
    await using resources = new AsyncDisposableStack();
    const users = await startUsers(resources.use(newPlace("user")), resources);
    const replicas: Promise<Replica>[] = [];
    const follow = async (): Promise<Replica> => {
      const replica = new Replica();
      for await (const message of users.watchUsers({})) {
        replica.apply(message);
        if (told(message) === "created last") break;
      }
      return replica;
    };
    await writeChanges(users, 600, (made) => {
      if (made % 100 === 50) replicas.push(follow());
    });
    const lastUser = await users.createUser({ user: { name: "last", email: "last@example.org" } });
    const final = await allVersions(users);
    expect(final.get(lastUser.id)).toBe(1);
    expect(replicas).toHaveLength(6);
    for (const replica of replicas) expect((await replica).versions).toEqual(final);
  });

  test(
    "a reader who stops for 3 s bounds what is given out; cancelling ends the handler within 100 ms",
    { timeout: 60_000 },
    async () => {
      await using resources = new AsyncDisposableStack();
      const watches = observeStreams(UserService.definition.watchUsers);
      const server = await serveUsers(resources.use(newPlace("user")), resources, { observed: watches });
      const users = server.mesh.client(UserService);
      const rows = 10_000;
      await users.importUsers(
        Array.from({ length: rows }, (_, index) => ({ user: { name: "n".repeat(200), email: `slow-${index}@example.org` } })),
        { timeoutMs: 60_000 },
      );
      const leaving = new AbortController();
      const watching = users.watchUsers({}, { signal: leaving.signal })[Symbol.asyncIterator]();
      await watching.next();
      const given: number[] = [];
      for (let tenth = 0; tenth < 30; tenth++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        given.push(watches.messageCount);
      }
      // About 300 bytes a message: no more than the windows of the stream hold, and it does not grow.
      expect(given.at(-1)).toBeLessThan(rows / 2);
      expect(given.at(-1)).toBe(given[9]);
      // The write log goes on meanwhile: the snapshot holds no transaction open.
      await users.createUser({ user: { name: "meanwhile", email: "meanwhile@example.org" } });
      let read = 1;
      for (; read < rows / 4; read++) await watching.next();
      const leftAtMs = performance.now();
      leaving.abort();
      const endedAtMs = await eventually(() => watches.endedAtMs, { timeoutMs: 1_000, intervalMs: 5 });
      expect(endedAtMs - leftAtMs).toBeLessThan(100);
    },
  );

  test("cancelling a watch that waits for changes ends the handler within 100 ms", async () => {
    await using resources = new AsyncDisposableStack();
    const watches = observeStreams(UserService.definition.watchUsers);
    const server = await serveUsers(resources.use(newPlace("user")), resources, { observed: watches });
    const users = server.mesh.client(UserService);
    const leaving = new AbortController();
    const watching = users.watchUsers({}, { signal: leaving.signal })[Symbol.asyncIterator]();
    expect(told((await watching.next()).value as WatchUsersResponse)).toBe("snapshotEnd");
    const failed = callError(watching.next());
    const leftAtMs = performance.now();
    leaving.abort();
    expect(await failed).toMatchObject({ code: 1 });
    const endedAtMs = await eventually(() => watches.endedAtMs, { timeoutMs: 1_000, intervalMs: 5 });
    expect(endedAtMs - leftAtMs).toBeLessThan(100);
  });

  test("a drain ends it with UNAVAILABLE", async () => {
    await using resources = new AsyncDisposableStack();
    const server = await serveUsers(resources.use(newPlace("user")), resources);
    const users = server.mesh.client(UserService);
    const watching = users.watchUsers({})[Symbol.asyncIterator]();
    expect(told((await watching.next()).value as WatchUsersResponse)).toBe("snapshotEnd");
    const failed = callError(watching.next());
    await server.drain();
    expect(await failed).toMatchObject({ code: 14, reason: "DRAINING" });
  });

  if (newPlace("probe").engine === "sqlite") return;

  test("a watcher of a drained instance goes on at the other, and loses nothing", { timeout: 30_000 }, async () => {
    await using resources = new AsyncDisposableStack();
    const place = resources.use(newPlace("user"));
    const first = await serveUsers(place, resources);
    const second = await serveUsers(place, resources);
    const watching = resources.use(connectTo({ user: [first.address, second.address] })).client(UserService);
    const users = second.mesh.client(UserService);
    const replica = new Replica();
    let written: Promise<void> | undefined;
    const steps = resumeWatch({
      watch: (resumeToken, signal) => watching.watchUsers({ resumeToken }, { signal }),
      tokenOf: ({ resumeToken }) => resumeToken,
      signal: AbortSignal.timeout(25_000),
    });
    for await (const step of steps) {
      if (step.kind === "begin") continue;
      replica.apply(step.message);
      if (step.message.change?.$case === "snapshotEnd")
        written = writeChanges(users, 400, (made) => void (made === 200 && first.drain()));
      if (replica.changeCount === 400) break;
    }
    await written;
    expect(replica.versions).toEqual(await allVersions(users));
  });
});
