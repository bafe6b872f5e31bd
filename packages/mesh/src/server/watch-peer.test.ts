import { createServer } from "node:http2";
import type { ServerHttp2Session } from "node:http2";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { createFakeClock, eventually } from "@protoloom/testing";
import type { FakeClock } from "@protoloom/testing";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { watchPeer } from "./watch-peer.ts";

const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const ping = Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const isPing = (frame: Buffer): boolean => frame[3] === 6;
let clock: FakeClock;
let session: ServerHttp2Session;
let socket: Socket;
let frames: Buffer[];

/** A caller that has said hello, and whose every further byte is sent here. */
beforeEach(async () => {
  clock = createFakeClock();
  frames = [];
  const server = createServer();
  const opened = new Promise<ServerHttp2Session>((resolve) => server.once("session", resolve));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("data", (bytes) => frames.push(...cutFrames(bytes)));
  socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings]));
  session = await opened;
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  onTestFinished(() => {
    socket.destroy();
    session.destroy();
    server.close();
  });
});

function cutFrames(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let offset = 0; offset + 9 <= bytes.length;) {
    const end = offset + 9 + bytes.readUIntBE(offset, 3);
    found.push(bytes.subarray(offset, end));
    offset = end;
  }
  return found;
}

async function heard(): Promise<void> {
  const before = session.socket.bytesRead;
  socket.write(ping);
  await eventually(() => session.socket.bytesRead > before);
}

test("a caller that stays silent is pinged, and its connection closed when it does not answer", async () => {
  onTestFinished(watchPeer(session, { clock, timeMs: 30_000, timeoutMs: 10_000 }));
  // What it has said before the watch counts as said in its first period.
  await clock.advance(30_000);
  expect(frames.some(isPing)).toBe(false);
  await clock.advance(30_000);
  await eventually(() => frames.some(isPing));
  await clock.advance(9_999);
  expect(session.destroyed).toBe(false);
  await clock.advance(1);
  await eventually(() => session.destroyed);
});

test("anything that it says is an answer", async () => {
  onTestFinished(watchPeer(session, { clock, timeMs: 30_000, timeoutMs: 10_000 }));
  await clock.advance(60_000);
  await eventually(() => frames.some(isPing));
  await heard();
  await clock.advance(10_000);
  await new Promise((resolve) => setImmediate(resolve));
  expect(session.destroyed).toBe(false);
  frames = [];
  await clock.advance(30_000);
  await eventually(() => frames.some(isPing));
});

test("a caller that speaks is not pinged", async () => {
  onTestFinished(watchPeer(session, { clock, timeMs: 30_000, timeoutMs: 10_000 }));
  for (let round = 0; round < 3; round += 1) {
    await heard();
    frames = [];
    await clock.advance(30_000);
    // Its own PING is answered, and no other sent.
    expect(frames.filter((frame) => isPing(frame) && frame[4] === 0)).toEqual([]);
  }
});
