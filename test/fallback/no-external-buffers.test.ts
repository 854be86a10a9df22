/*
 * Hosts that forbid ArrayBuffers over memory that is not V8's own (Electron) have no arena: every buffer of the engine is an
 * ArrayBuffer, which the end of a lease transfers to another one. URING_STREAMS_NO_EXTERNAL_BUFFERS makes such a host of
 * this process, for rings that have not lent anything yet. `npx tap --test-env=URING_STREAMS_NO_EXTERNAL_BUFFERS=1` runs
 * the suite in one: only what counts the buffers of the arena fails there. The threads engine never has others.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Test } from 'tap'
import { pipelinePromise } from 'streamx'
import {
  BufferPool, copyFile, createUringReadableStream, createUringReadStream, createUringWritableStream, createUringWriteStream, open, ops
} from '../../lib/index.js'
import type { Ring } from '../../lib/index.js'
import * as streamx from '../../lib/streamx.js'
import type { KnownFile } from '../helpers/files.js'
import { ringTest, withRing } from '../helpers/ring-state.js'
import { sha256 } from '../helpers/seeded.js'
import { closing, turn } from '../helpers/stream-events.js'
import { bytesOfStream, fileAndTarget } from '../helpers/web-streams.js'

const variable = 'URING_STREAMS_NO_EXTERNAL_BUFFERS'
const chunkSize = 10_000

type Body = (t: Test, ring: Ring, file: KnownFile, target: string) => Promise<void>

/** A test on a host without external buffers. */
function forbiddenTest(name: string, body: Body): void {
  ringTest(name, async t => {
    process.env[variable] = '1'
    t.teardown(() => { delete process.env[variable] })
    const { file, target } = fileAndTarget(t, 1_234_567)
    await withRing(t, {}, async ring => {
      await body(t, ring, file, target)
      t.equal(ring.stats().buffersInUse, 0, 'no buffer of the arena')
    })
  })
}

/** Takes each chunk, and asserts that those before it have length 0. */
function leaseTaker(t: Test, ring: Ring): { take: (chunk: Buffer) => void, digest: () => string } {
  const hash = createHash('sha256')
  const views: Uint8Array[] = []
  const assertOver = (): void => {
    if (views.some(({ length }) => length > 0)) t.fail('a stale view still shows bytes')
  }
  return {
    take(chunk) {
      assertOver()
      t.equal(ring.stats().buffersInUse, 0)
      hash.update(chunk)
      views.push(chunk, new Uint8Array(chunk.buffer))
    },
    digest() {
      assertOver()
      return hash.digest('hex')
    }
  }
}

forbiddenTest('leased chunks are detached when they are over (data, for await, streamx)', async (t, ring, file) => {
  const options = { ring, buffers: 'leased', chunkSize } as const
  const [data, iterated, other] = [leaseTaker(t, ring), leaseTaker(t, ring), leaseTaker(t, ring)]
  await closing(createUringReadStream(file.path, options).on('data', data.take))
  const stream = createUringReadStream(file.path, options)
  for await (const chunk of stream) iterated.take(chunk as Buffer)
  if (!stream.closed) await closing(stream)
  const third = streamx.createUringReadStream(file.path, options)
  third.on('data', chunk => other.take(chunk as Buffer))
  await new Promise(resolve => third.on('close', () => resolve(null)))
  t.same([data.digest(), iterated.digest(), other.digest()], [file.sha256, file.sha256, file.sha256])
})

forbiddenTest('streams are piped (node, Web, streamx)', async (t, ring, file, target) => {
  const options = { ring, chunkSize }
  const written = (): string => sha256(readFileSync(target))
  for (const buffers of ['owned', 'leased'] as const) {
    await pipeline(createUringReadStream(file.path, { ...options, buffers }), createUringWriteStream(target, options))
    t.equal(written(), file.sha256)
    await pipelinePromise(streamx.createUringReadStream(file.path, { ...options, buffers }), streamx.createUringWriteStream(target, options))
    t.equal(written(), file.sha256)
  }
  await createUringReadableStream(file.path, options).pipeTo(createUringWritableStream(target, options))
  t.equal(written(), file.sha256)
})

forbiddenTest('Web streams are read, by views as well', async (t, ring, file) => {
  t.equal(sha256(await bytesOfStream(createUringReadableStream(file.path, { ring, chunkSize }))), file.sha256)
  const reader = createUringReadableStream(file.path, { ring }).getReader({ mode: 'byob' })
  const parts: Uint8Array[] = []
  for (let size = 100; ; size *= 10) {
    const { value, done } = await reader.read(new Uint8Array(size))
    if (done) break
    parts.push(value)
  }
  t.ok(Buffer.concat(parts).equals(file.content))
})

forbiddenTest('direct reads and writes have memory on pages', async (t, ring, file, target) => {
  const options = { ring, direct: 'prefer', chunkSize: 100_000 } as const
  await pipeline(createUringReadStream(file.path, { ...options, start: 777 }), createUringWriteStream(target, options))
  t.ok(readFileSync(target).equals(file.content.subarray(777)))
  t.same(await bytesOfStream(createUringReadableStream(file.path, { ...options, end: 99 })), file.content.subarray(0, 100))
})

forbiddenTest('files are copied', async (t, ring, file, target) => {
  await copyFile(file.path, target, { ring, reflink: 'never' })
  t.equal(sha256(readFileSync(target)), file.sha256)
})

forbiddenTest('a pool has buffers, whose views have length 0 after their release', async (t, ring, file) => {
  const pool = new BufferPool(ring, { bufferSize: chunkSize, count: 2 })
  const handle = await open(file.path, 'r', { ring })
  const buffer = await pool.acquire()
  t.match(await ring.submit(ops.readFixed(handle.fd, buffer, 5000)), { result: chunkSize })
  const view = buffer.bytes
  t.ok(view.equals(file.content.subarray(5000, 5000 + chunkSize)))
  buffer.release()
  t.equal(view.length, 0)
  await handle.close()
  pool.close()
})

/** Gives memory to a new owner, where it can be had: V8's own, or from Node 22 on any. A chunk's own `transfer` refuses. */
function takeAway({ buffer }: Buffer): Buffer {
  const { transfer } = ArrayBuffer.prototype as { transfer?(this: ArrayBufferLike): ArrayBuffer }
  return Buffer.from(transfer !== undefined ? transfer.call(buffer) : structuredClone(buffer, { transfer: [buffer as ArrayBuffer] }))
}

const keepTaken: Body = async (t, ring, file) => {
  const taken: { memory: Buffer, was: Buffer }[] = []
  const hash = createHash('sha256')
  for await (const chunk of createUringReadStream(file.path, { ring, chunkSize, buffers: 'leased' })) {
    hash.update(chunk as Buffer)
    taken.push({ was: Buffer.from(chunk as Buffer), memory: takeAway(chunk as Buffer) })
    await turn()
  }
  t.equal(hash.digest('hex'), file.sha256)
  t.equal(taken.length, Math.ceil(1_234_567 / chunkSize))
  t.equal(taken.filter(({ memory, was }) => !memory.includes(was)).length, 0, 'chunks that are not what they were')
}

forbiddenTest('memory that a consumer transfers away is its own, and is not read into again', keepTaken)

ringTest('neither is that of the arena', async t => {
  const { file } = fileAndTarget(t, 1_234_567)
  await withRing(t, {}, ring => keepTaken(t, ring, file, ''))
})
