import { once } from 'node:events'
import type { Test } from 'tap'
import { createUringReadStream } from '../../lib/index.js'
import type { BufferOwnership, Ring } from '../../lib/index.js'
import { digestOf, makeFiles } from '../helpers/files.js'
import type { KnownFile } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { seededFor } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

const streams = 2000
const chunkSize = 8192
const tiny = { entries: 64, cqEntries: 64 }
const skip = notUring || (openFilesMax() < streams + 100 && `RLIMIT_NOFILE is ${openFilesMax()}`)

function openFilesMax(): number {
  const report = process.report!.getReport() as { userLimits?: { open_files?: { soft: number | string } } }
  const { soft = 'unlimited' } = report.userLimits?.open_files ?? {}
  return soft === 'unlimited' ? Infinity : Number(soft)
}

/** What a ring was seen to do, one look at each chunk. */
class Watched {
  queuedMost = 0
  occupiedMost = 0
  looks = 0

  constructor(readonly ring: Ring) {}

  look(): void {
    const { queued, inFlight, ready } = this.ring.stats()
    this.looks++
    this.queuedMost = Math.max(this.queuedMost, queued)
    this.occupiedMost = Math.max(this.occupiedMost, inFlight + ready)
  }

  assert(t: Test): void {
    const { capacity } = this.ring.stats()
    t.ok(this.looks >= streams, `looked ${this.looks} times`)
    t.ok(this.queuedMost > 0, `${this.queuedMost} operations were seen waiting`)
    t.ok(this.occupiedMost <= capacity, `in flight and ready together were at most ${this.occupiedMost} of ${capacity}`)
  }
}

function someFiles(t: Test): KnownFile[] {
  const random = seededFor(t)
  return makeFiles(t.testdir(), Array.from({ length: 40 }, () => random.between(1, 90_000)))
}

for (const buffers of ['owned', 'leased'] as BufferOwnership[]) {
  ringTest(`${streams} ${buffers} streams at once on a ring of 64 are all read right`, async t => {
    const files = someFiles(t)
    await withRing(t, tiny, async ring => {
      const watched = new Watched(ring)
      const digests = await Promise.all(Array.from({ length: streams }, (_, i) => {
        const stream = createUringReadStream(files[i % files.length].path, { ring, chunkSize, buffers })
        stream.on('data', () => watched.look())
        return digestOf(stream)
      }))
      const wrong = digests.filter((digest, i) => digest !== files[i % files.length].sha256)
      t.equal(wrong.length, 0, 'no stream gave anything else')
      watched.assert(t)
    })
  }, skip)

  ringTest(`${streams} ${buffers} streams that wait for one another's first chunk do not stop the ring`, async t => {
    const files = someFiles(t)
    await withRing(t, tiny, async ring => {
      const watched = new Watched(ring)
      const all = Array.from({ length: streams }, (_, i) =>
        createUringReadStream(files[i % files.length].path, { ring, chunkSize, buffers }))
      const digests = all.map(digestOf)
      await Promise.all(all.map(async stream => {
        stream.on('data', () => watched.look())
        await once(stream, 'data')
        stream.pause()
      }))
      t.ok(all.some(stream => !stream.readableEnded), 'not all of it is read yet')
      for (const stream of all) stream.resume()
      const wrong = (await Promise.all(digests)).filter((digest, i) => digest !== files[i % files.length].sha256)
      t.equal(wrong.length, 0, 'no stream gave anything else')
      watched.assert(t)
    })
  }, skip)

  ringTest(`${streams} ${buffers} iterators that wait after their first chunk do not stop the ring`, async t => {
    const files = someFiles(t)
    await withRing(t, tiny, async ring => {
      const all = Array.from({ length: streams }, (_, i) =>
        createUringReadStream(files[i % files.length].path, { ring, chunkSize, buffers }))
      const iterators = all.map(stream => stream[Symbol.asyncIterator]())
      const firsts = await Promise.all(iterators.map(async (iterator, i) => {
        const { value } = await iterator.next() as { value: Buffer }
        return value.equals(files[i % files.length].content.subarray(0, chunkSize))
      }))
      t.equal(firsts.filter(right => !right).length, 0, 'every first chunk is right')
      const closed = all.map(closing)
      const lengths = await Promise.all(iterators.map(async (iterator, i) => {
        let read = Math.min(chunkSize, files[i % files.length].content.length)
        for (;;) {
          const { value, done } = await iterator.next() as { value: Buffer, done?: boolean }
          if (done) return read
          const expected = files[i % files.length].content.subarray(read, read + value.length)
          if (value.length === 0 || !value.equals(expected)) return NaN
          read += value.length
        }
      }))
      await Promise.all(closed)
      t.same(lengths, all.map((_, i) => files[i % files.length].content.length), 'and all that followed')
    })
  }, skip)
}

ringTest('windows of a ring near its capacity shrink, and the streams still read right', async t => {
  const files = makeFiles(t.testdir(), Array.from({ length: 30 }, (_, i) => 400_000 + i))
  await withRing(t, { entries: 64, cqEntries: 64 }, async ring => {
    const digests: Promise<string>[] = []
    for (const file of files) {
      const stream = createUringReadStream(file.path, { ring, chunkSize: 4096, readAhead: 16 })
      digests.push(digestOf(stream))
      await once(stream, 'data') // one after the other, so that the first have grown before the ring is full
    }
    t.same(await Promise.all(digests), files.map(file => file.sha256))
    t.ok(ring.stats().shrinks > 0, `${ring.stats().shrinks} times a window was made smaller`)
  })
}, notUring)
