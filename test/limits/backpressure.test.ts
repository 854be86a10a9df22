import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createUringReadStream, createUringWriteStream, ops } from '../../lib/index.js'
import type { Ring } from '../../lib/index.js'
import { digestOf, makeFifo, makeFile } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { countEvents, endAndClose, next, turns } from '../helpers/stream-events.js'

const ringOptions = { entries: 8, cqEntries: 16 }

/** Occupies so many places of a ring by reads that wait, until `release`. */
function occupy(t: Test, ring: Ring, places: number): { release: () => Promise<void> } {
  const fd = openSync(makeFifo(join(t.testdirName, 'fifo')), 'r+')
  const reads = Array.from({ length: places }, () => ring.submit(ops.read(fd, Buffer.alloc(1))))
  return {
    release: async () => {
      writeSync(fd, Buffer.alloc(places))
      await Promise.all(reads)
      closeSync(fd)
    }
  }
}

for (const size of [100, 20_000]) {
  ringTest(`write() answers false while its ring is near its capacity, and 'drain' follows (${size} bytes)`, async t => {
    const path = join(t.testdir(), 'target')
    await withRing(t, ringOptions, async ring => {
      const content = patterned(size * 4)
      const piece = (i: number): Buffer => content.subarray(i * size, (i + 1) * size)
      const writer = createUringWriteStream(path, { ring })
      await next(writer, 'ready')
      const counts = countEvents(writer, ['drain'])
      t.equal(writer.write(piece(0)), true, 'an idle ring takes it')
      await turns(5)
      const { release } = occupy(t, ring, ring.stats().capacity - 1)
      t.equal(writer.write(piece(1)), false, 'a busy one does not')
      t.ok(writer.writableNeedDrain)
      const drained = next(writer, 'drain')
      t.equal(counts.drain, 0)
      await drained
      t.equal(counts.drain, 1, 'what is due is written even so, one at a time')
      t.equal(writer.write(piece(2)), false)
      const drainedAgain = next(writer, 'drain')
      await release()
      await drainedAgain
      t.equal(writer.write(piece(3)), true, 'and then the ring takes it again')
      await endAndClose(writer)
      t.ok(readFileSync(path).equals(content))
    })
  }, notUring)
}

ringTest('where every place of a ring is taken a write waits, and is done when one is free', async t => {
  const path = join(t.testdir(), 'target')
  await withRing(t, ringOptions, async ring => {
    const content = patterned(50_000)
    const writer = createUringWriteStream(path, { ring })
    await next(writer, 'ready')
    const { release } = occupy(t, ring, ring.stats().capacity)
    const written = new Promise(resolve => writer.write(content, resolve))
    await turns(10)
    t.match(ring.stats(), { queued: 1, inFlight: ring.stats().capacity, occupancy: 1 })
    t.equal(writer.bytesWritten, 0)
    await release()
    t.equal(await written, null)
    t.equal(writer.bytesWritten, content.length)
    await endAndClose(writer)
    t.ok(readFileSync(path).equals(content))
  })
}, notUring)

ringTest('a reader on a busy ring keeps to one read at a time', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 500_000)
  await withRing(t, ringOptions, async ring => {
    const places = ring.stats().capacity - 3
    const { release } = occupy(t, ring, places)
    const stream = createUringReadStream(source.path, { ring, chunkSize: 5000, readAhead: 16 })
    let most = 0
    stream.on('data', () => {
      const { inFlight, ready } = ring.stats()
      most = Math.max(most, inFlight + ready - places)
    })
    t.equal(await digestOf(stream), source.sha256)
    t.ok(most <= 1, `at most ${most} at a time beside the ${places} that wait`)
    await release()
  })
}, notUring)
