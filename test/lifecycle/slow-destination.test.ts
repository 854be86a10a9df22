import { closeSync, constants, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import type { BufferOwnership } from '../../lib/index.js'
import { readFifo } from '../helpers/fifo.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { notUring, ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, until } from '../helpers/stream-events.js'

/** A FIFO, and a descriptor that takes from it only when it is asked to. */
function slowFifo(t: Test): { path: string, drain: number } {
  const path = makeFifo(join(t.testdir({ source: '' }), 'fifo'))
  return { path, drain: openSync(path, constants.O_RDWR | constants.O_NONBLOCK) }
}

for (const buffers of ['owned', 'leased'] as BufferOwnership[]) {
  ringTest(`a file piped into a FIFO that is read slowly arrives whole (${buffers})`, async t => {
    const { path, drain } = slowFifo(t)
    const source = makeFile(join(path, '..', 'source'), 700_001)
    const reader = createUringReadStream(source.path, { buffers, chunkSize: 32_768 })
    const writer = createUringWriteStream(path, { chunkSize: 32_768 })
    const closed = [closing(reader), closing(writer)]
    reader.pipe(writer)
    t.equal(sha256(await readFifo(drain, source.content.length, 4096)), source.sha256)
    t.same(await Promise.all(closed), [undefined, undefined])
    t.equal(writer.bytesWritten, source.content.length)
    closeSync(drain)
  }, notUring)
}

ringTest('small and large writes into a FIFO that is read slowly arrive in order', async t => {
  const random = seededFor(t)
  const content = patterned(500_000, random.between(1, 1e9))
  const { path, drain } = slowFifo(t)
  const writer = createUringWriteStream(path, { highWaterMark: 50_000 })
  let refusals = 0
  for (let at = 0; at < content.length;) {
    const size = random.pick([1, 20, 300, 5000, 17_000, 60_000])
    if (!writer.write(content.subarray(at, at + size))) refusals++
    at += size
  }
  const [arrived] = await Promise.all([readFifo(drain, content.length, 3000), endAndClose(writer)])
  t.equal(sha256(arrived), sha256(content))
  t.ok(refusals > 0, `write() answered false ${refusals} times`)
  closeSync(drain)
}, notUring)

ringTest('a writer destroyed while nobody reads its FIFO closes', async t => {
  const { path, drain } = slowFifo(t)
  const source = makeFile(join(path, '..', 'source'), 700_001)
  const reader = createUringReadStream(source.path, { buffers: 'leased', chunkSize: 32_768 })
  const writer = createUringWriteStream(path, { highWaterMark: 100_000 })
  const closed = closing(writer)
  const stopped = new Promise(resolve => reader.once('pause', resolve))
  reader.pipe(writer)
  await stopped
  await until(() => writer.bytesWritten > 0)
  const failed = new Error('enough')
  writer.destroy(failed)
  t.equal(await closed, failed)
  const readerClosed = closing(reader)
  reader.destroy()
  await readerClosed
  // What the FIFO holds is the beginning of the file: nothing else was ever written into it.
  const held = await readFifo(drain, writer.bytesWritten)
  t.ok(held.length > 0 && held.equals(source.content.subarray(0, held.length)), `${held.length} bytes were written`)
  closeSync(drain)
}, notUring)
