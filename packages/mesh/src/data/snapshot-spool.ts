import { randomUUID } from "node:crypto";
import { open, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Limits of a spool, in bytes. */
export const spoolDefaults = {
  /** What is kept in memory; beyond it everything lies in a file. */
  memoryBytes: 1_048_576,
  /** What is written to the file, and read from it, at once; a longer row is a block of its own. */
  blockBytes: 65_536,
} as const;

/** Rows that are kept until somebody reads them. Disposing it forgets them. */
export interface SnapshotSpool extends AsyncDisposable {
  add(row: Uint8Array): Promise<void>;
  /** The rows in the order in which they were added. Once: what has been read is let go of. */
  rows(): AsyncGenerator<Uint8Array>;
}

interface Block {
  /** Where it stands in the file; undefined: in memory. */
  offset: number;
  length: number;
  bytes: Buffer | undefined;
}

const lengthBytes = 4;

/**
 * Keeps rows for a reader who may be slow: the transaction that they come from ends meanwhile. The first MiB is kept in
 * memory; with more, all of it in a file of the system's temporary folder that has no name any more, and that the system
 * removes with the process.
 */
export function createSnapshotSpool({ memoryBytes, blockBytes }: typeof spoolDefaults = spoolDefaults): SnapshotSpool {
  const blocks: Block[] = [];
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let inMemoryBytes = 0;
  let fileBytes = 0;
  let file: FileHandle | undefined;

  const write = async (to: FileHandle, block: Block): Promise<void> => {
    if (block.bytes === undefined) return;
    block.offset = fileBytes;
    await writeAll(to, block.bytes, fileBytes);
    fileBytes += block.length;
    block.bytes = undefined;
  };
  const flush = async (): Promise<void> => {
    if (pendingBytes === 0) return;
    const bytes = Buffer.concat(pending, pendingBytes);
    const block: Block = { offset: 0, length: bytes.length, bytes };
    pending = [];
    pendingBytes = 0;
    blocks.push(block);
    inMemoryBytes += bytes.length;
    if (file === undefined && inMemoryBytes > memoryBytes) {
      file = await openNameless();
      for (const earlier of blocks) await write(file, earlier);
    } else if (file !== undefined) await write(file, block);
  };
  return {
    async add(row) {
      const length = Buffer.alloc(lengthBytes);
      length.writeUInt32BE(row.length);
      pending.push(length, row);
      pendingBytes += lengthBytes + row.length;
      if (pendingBytes >= blockBytes) await flush();
    },
    async *rows() {
      await flush();
      for (let block = blocks.shift(); block !== undefined; block = blocks.shift()) {
        yield* rowsOf(block.bytes ?? (await readBlock(file, block)));
      }
    },
    async [Symbol.asyncDispose]() {
      blocks.length = 0;
      pending = [];
      const closing = file;
      file = undefined;
      await closing?.close();
    },
  };
}

async function openNameless(): Promise<FileHandle> {
  const path = join(tmpdir(), `protoloom-snapshot-${randomUUID()}`);
  const file = await open(path, "wx+", 0o600);
  await unlink(path);
  return file;
}

async function writeAll(file: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  for (let from = 0; from < bytes.length;) {
    from += (await file.write(bytes, from, bytes.length - from, offset + from)).bytesWritten;
  }
}

async function readBlock(file: FileHandle | undefined, { offset, length }: Block): Promise<Buffer> {
  if (file === undefined) throw new Error("the snapshot has been forgotten");
  const bytes = Buffer.alloc(length);
  for (let from = 0; from < length;) {
    const { bytesRead } = await file.read(bytes, from, length - from, offset + from);
    if (bytesRead === 0) throw new Error(`the file of a snapshot ends ${length - from} bytes too early`);
    from += bytesRead;
  }
  return bytes;
}

function* rowsOf(block: Buffer): Generator<Uint8Array> {
  for (let at = 0; at < block.length;) {
    const start = at + lengthBytes;
    const end = start + block.readUInt32BE(at);
    yield block.subarray(start, end);
    at = end;
  }
}
