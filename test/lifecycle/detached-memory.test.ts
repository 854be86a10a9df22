import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Test } from 'tap'
import { createUringWriteStream, ops, Ring } from '../../lib/index.js'
import { emptyFifo } from '../helpers/fifo.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { closing, turns, until } from '../helpers/stream-events.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const invalidState = { code: 'ERR_INVALID_STATE' }
const bytes = 60_000 // less than a FIFO holds, so that one write of it never waits
/** More than is copied: the kernel reads the caller's own memory. */
const bytesUncopied = (1 << 20) + 1

/** Gives a buffer's memory away and lets the collector have it. */
async function giveAway(buffer: Buffer): Promise<void> {
  structuredClone(buffer.buffer, { transfer: [buffer.buffer as ArrayBuffer] })
  for (let i = 0; i < 3; i++) {
    await turns(1)
    collect()
  }
}

function openFifo(t: Test): { path: string, fd: number } {
  const path = makeFifo(join(t.testdir(), 'fifo'))
  return { path, fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK) }
}

/** Fills a FIFO, so that the next write to it waits. */
function fill(fd: number): void {
  const page = Buffer.alloc(4096, 'f')
  for (;;) {
    try {
      writeSync(fd, page)
    } catch {
      return // EAGAIN
    }
  }
}

ringTest('a read into a buffer that is transferred away meanwhile is rejected and writes into no other memory', async t => {
  const path = makeFifo(join(t.testdir(), 'fifo'))
  const fd = openSync(path, 'r+')
  const ring = Ring.shared()
  for (let round = 0; round < 5; round++) {
    const buffer = Buffer.from(new ArrayBuffer(bytes))
    const read = ring.submit(ops.read(fd, buffer))
    await turns(3)
    t.equal(ring.stats().inFlight, 1, 'the read waits')
    await giveAway(buffer)
    t.equal(buffer.length, 0)
    // One of these has the old memory, if the allocator gives it out again.
    const others = Array.from({ length: 50 }, () => Buffer.from(new ArrayBuffer(bytes)).fill('o'))
    const rejected = t.rejects(read, invalidState)
    writeSync(fd, Buffer.alloc(bytes, 'r'))
    await rejected
    const untouched = Buffer.alloc(bytes, 'o')
    t.equal(others.filter(other => !other.equals(untouched)).length, 0, 'no other buffer has changed')
  }
  closeSync(fd)
}, notUring)

ringTest('a read into a buffer that stays is not rejected, whatever happens to others', async t => {
  const fd = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const [stays, goes] = [Buffer.from(new ArrayBuffer(bytes)), Buffer.from(new ArrayBuffer(bytes))]
  const read = Ring.shared().submit(ops.read(fd, stays))
  await turns(3)
  await giveAway(goes)
  const words = patterned(bytes)
  writeSync(fd, words)
  t.match(await read, { result: bytes })
  t.ok(stays.equals(words))
  closeSync(fd)
}, notUring)

ringTest('a chunk that is transferred away while it waits to be written fails the stream', async t => {
  const { path, fd } = openFifo(t)
  const writer = createUringWriteStream(path)
  fill(fd)
  const closed = closing(writer)
  const chunk = Buffer.from(new ArrayBuffer(bytesUncopied)).fill('c')
  let told: NodeJS.ErrnoException | null | undefined
  writer.write(chunk, error => { told = error })
  await until(() => writer.fd !== null && Ring.shared().stats().inFlight > 0)
  await turns(3)
  await giveAway(chunk)
  await emptyFifo(fd, closed) // now it can be written, as much of it as is left
  t.match(await closed, invalidState)
  t.match(told, invalidState, 'the callback of write() is told')
  closeSync(fd)
}, notUring)

ringTest('a chunk that is transferred away in the turn of its write fails the stream', async t => {
  const path = join(t.testdir(), 'target')
  const writer = createUringWriteStream(path)
  const head = patterned(100_000)
  await new Promise<void>((resolve, reject) => writer.write(head, error => error ? reject(error) : resolve()))
  const closed = closing(writer)
  const chunk = Buffer.from(new ArrayBuffer(bytesUncopied)).fill('c')
  let told: NodeJS.ErrnoException | null | undefined
  writer.write(chunk, error => { told = error })
  structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] })
  t.match(await closed, invalidState)
  t.match(told, invalidState)
  t.equal(Buffer.compare(readFileSync(path).subarray(0, head.length), head), 0, 'what was written before is there')
}, notUring)

ringTest('chunks up to 1 MiB may be transferred away as soon as write() has returned', async t => {
  const path = join(t.testdir(), 'target')
  const writer = createUringWriteStream(path)
  await new Promise(resolve => writer.once('ready', resolve))
  const sizes = [...Array<number>(1000).fill(30), 1 << 20, 300_000, 1]
  const content = patterned(sizes.reduce((a, b) => a + b))
  let at = 0
  for (const size of sizes) {
    const chunk = Buffer.from(new ArrayBuffer(size))
    at += content.copy(chunk, 0, at)
    writer.write(chunk)
    structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] })
  }
  const closed = closing(writer)
  writer.end()
  t.equal(await closed, undefined)
  t.ok(readFileSync(path).equals(content))
}, notUring)
