import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createUringReadStream, createUringWriteStream, ops, Ring } from '../../lib/index.js'
import type { BufferOwnership, RingOptions, UringReadStream } from '../../lib/index.js'
import { digestOf, iteratedDigestOf, makeFile, makeFiles } from '../helpers/files.js'
import { ringTest, slowReads, withRing } from '../helpers/ring-state.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, until } from '../helpers/stream-events.js'

const chunkSize = 16_384
const rings: RingOptions[] = [{ entries: 1, cqEntries: 1 }, { entries: 1, cqEntries: 2 }, { entries: 1 }, { entries: 2, cqEntries: 2 }, { entries: 2 }]

/** Asserts at each call that no more is in flight than the ring takes. */
function bounded(t: Test, ring: Ring): () => void {
  return () => {
    const { inFlight, ready, capacity } = ring.stats()
    if (inFlight + ready > capacity) t.fail(`${inFlight} in flight and ${ready} ready of ${capacity}`)
  }
}

for (const options of rings) {
  const name = `a ring of ${options.entries} entries with ${options.cqEntries ?? 'as many completions as it wants'}`

  ringTest(`${name} reads`, async t => {
    const files = makeFiles(t.testdir(), [0, 1, chunkSize, 5 * chunkSize + 3, 300_000])
    await withRing(t, options, async ring => {
      for (const buffers of ['owned', 'leased'] as BufferOwnership[]) {
        const streams = files.map(({ path }) => createUringReadStream(path, { ring, buffers, chunkSize, readAhead: 16 }))
        for (const stream of streams) stream.on('data', bounded(t, ring))
        t.same(await Promise.all(streams.map(digestOf)), files.map(file => file.sha256), `${buffers}, by 'data'`)
        const iterated = files.map(({ path }) => createUringReadStream(path, { ring, buffers, chunkSize }))
        t.same(await Promise.all(iterated.map(iteratedDigestOf)), files.map(file => file.sha256), `${buffers}, by iteration`)
      }
    })
  })

  ringTest(`${name} writes and copies`, async t => {
    const directory = t.testdir()
    const source = makeFile(join(directory, 'source'), 300_000)
    await withRing(t, options, async ring => {
      const targets = ['small', 'large', 'owned', 'leased'].map(target => join(directory, target))
      const [small, large, ...copies] = targets.map(path => createUringWriteStream(path, { ring, chunkSize, writeBehind: 16 }))
      for (const writer of [small, large, ...copies]) writer.on('drain', bounded(t, ring))
      const closed = copies.map(closing)
      for (let at = 0; at < 300_000; at += 100) small.write(source.content.subarray(at, at + 100))
      for (let at = 0; at < 300_000; at += 60_000) large.write(source.content.subarray(at, at + 60_000))
      for (const [i, buffers] of (['owned', 'leased'] as BufferOwnership[]).entries()) {
        createUringReadStream(source.path, { ring, buffers, chunkSize }).pipe(copies[i])
      }
      await Promise.all([endAndClose(small), endAndClose(large)])
      t.same(await Promise.all(closed), [undefined, undefined])
      t.same(targets.map(path => sha256(readFileSync(path))), targets.map(() => source.sha256))
    })
  })

  ringTest(`${name} runs a thousand operations that come at once, in order`, async t => {
    await withRing(t, options, async ring => {
      const ended: number[] = []
      const all = Array.from({ length: 1000 }, (_, i) => ring.submit(ops.nop()).then(() => ended.push(i)))
      t.ok(ring.stats().queued >= 1000 - ring.stats().capacity, `${ring.stats().queued} wait`)
      bounded(t, ring)()
      await Promise.all(all)
      t.same(ended, Array.from({ length: 1000 }, (_, i) => i))
      t.match(ring.stats(), { submitted: 1000, completed: 1000 })
    })
  })
}

ringTest('a hundred thousand operations at once on the shared ring all end', async t => {
  const ring = Ring.shared()
  const before = ring.stats()
  const count = 100_000
  let ended = 0
  const all = Array.from({ length: count }, () => ring.submit(ops.nop()).then(() => { ended++ }))
  const { queued, inFlight, capacity } = ring.stats()
  t.equal(queued + inFlight, count, 'each is queued or in flight')
  t.ok(inFlight <= capacity, `${inFlight} of ${capacity} are in flight`)
  await Promise.all(all)
  t.equal(ended, count)
  const { submitted, completed } = ring.stats()
  t.same([submitted - before.submitted, completed - before.completed], [count, count])
})

for (const options of [...rings, { entries: 4, cqEntries: 4 }, { entries: 8 }]) {
  ringTest(`readers that nobody reads from leave room for others on a ring of ${JSON.stringify(options)}`, async t => {
    const directory = t.testdir()
    const source = makeFile(join(directory, 'source'), 400_000)
    const target = join(directory, 'target')
    await withRing(t, options, async ring => {
      const idle: UringReadStream[] = []
      slowReads(ring) // so that windows grow
      while (idle.length < 2 * ring.stats().capacity) {
        const stream = createUringReadStream(source.path, { ring, chunkSize: 4096, readAhead: 4 })
        const iterator = stream[Symbol.asyncIterator]()
        for (let i = 0; i < 6; i++) await iterator.next()
        idle.push(stream)
      }
      await until(() => ring.stats().inFlight === 0)
      if (ring.stats().capacity > 3) t.ok(ring.stats().ready > 0, `${ring.stats().ready} chunks wait to be read`)
      const writer = createUringWriteStream(target, { ring })
      writer.write(source.content)
      await endAndClose(writer)
      t.ok(readFileSync(target).equals(source.content))
      const { chainMax } = ring.engine
      const chain = Array.from({ length: chainMax }, () => ops.nop().link())
      t.same((await ring.batch(chain)).map(({ result }) => result), chain.map(() => 0), 'a chain as long as may be')
      const closed = idle.map(closing)
      for (const stream of idle) stream.destroy()
      await Promise.all(closed)
    })
  })
}

ringTest('a write that does not fit into a ring of 1 does not starve the others', async t => {
  const directory = t.testdir()
  const content = patterned(1_000_000)
  const other = makeFile(join(directory, 'other'), 50_000)
  await withRing(t, { entries: 1 }, async ring => {
    const writer = createUringWriteStream(join(directory, 'target'), { ring })
    writer.write(content)
    const [digest] = await Promise.all([digestOf(createUringReadStream(other.path, { ring, chunkSize: 1000 })), endAndClose(writer)])
    t.equal(digest, other.sha256)
    t.ok(readFileSync(join(directory, 'target')).equals(content))
  })
})
