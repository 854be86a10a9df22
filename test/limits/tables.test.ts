// The arena and the table of fixed files have an end; what comes after it is served in another way.
import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream, createUringWriteStream, open, ops } from '../../lib/index.js'
import type { Ring, UringReadStream } from '../../lib/index.js'
import { digestOf, makeFile, makeFiles } from '../helpers/files.js'
import { assertUnused, kernelBefore, notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, next, writeOne } from '../helpers/stream-events.js'

const arenaBytes = 16 << 20

/** Hands out its first chunk and waits with it. */
function firstChunk(stream: UringReadStream): Promise<Buffer> {
  return new Promise(resolve => stream.once('data', chunk => {
    stream.pause()
    resolve(chunk as Buffer)
  }))
}

/** Operations on a file after which it is in the table. */
const often = 128

function freePlaces(ring: Ring, path: string): number {
  const fd = openSync(path, 'r')
  const files = ring.registerFiles(Array<number>(300).fill(fd))
  const free = files.filter(({ index }) => index >= 0).length
  ring.unregisterFiles(files)
  closeSync(fd)
  return free
}

for (const chunkSize of [256 << 10, 1 << 20]) {
  const streams = arenaBytes / chunkSize * 2

  ringTest(`${streams} leased streams that hold ${chunkSize >> 10} KiB each fall back to ordinary memory`, async t => {
    const files = makeFiles(t.testdir(), Array.from({ length: 4 }, (_, i) => chunkSize + 50_000 * i))
    await withRing(t, {}, async ring => {
      const all = Array.from({ length: streams }, (_, i) =>
        createUringReadStream(files[i % 4].path, { ring, buffers: 'leased', chunkSize }))
      const held = await Promise.all(all.map(firstChunk))
      const { buffersInUse } = ring.stats()
      t.ok(buffersInUse > 0 && buffersInUse <= arenaBytes / chunkSize, `${buffersInUse} buffers of the arena are in use`)
      t.equal(new Set(held.map(({ buffer }) => buffer)).size, streams, 'each stream holds memory of its own')
      const wrong = held.filter((chunk, i) => !chunk.equals(files[i % 4].content.subarray(0, chunkSize)))
      t.equal(wrong.length, 0, 'and the right bytes')
      // The rest of each, behind the chunk that was taken already.
      const hashes = held.map(chunk => createHash('sha256').update(chunk))
      const closed = all.map(closing)
      for (const [i, stream] of all.entries()) stream.on('data', (chunk: Buffer) => { hashes[i].update(chunk) }).resume()
      t.same(await Promise.all(closed), all.map(() => undefined))
      t.same(hashes.map(hash => hash.digest('hex')), all.map((_, i) => files[i % 4].sha256))
      t.same(held.filter(({ length }) => length > 0), [], 'no chunk shows bytes any more')
    })
  }, notUring)
}

ringTest('memory that is got ready is there, and what was in it stays', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 1 << 20)
  await withRing(t, {}, async ring => {
    const stream = createUringReadStream(path, { ring, buffers: 'leased', chunkSize: 1 << 20 })
    const held = await firstChunk(stream)
    const before = process.memoryUsage.rss()
    await ring.engine.populate(2 * arenaBytes)
    t.ok(process.memoryUsage.rss() - before > arenaBytes / 2 || kernelBefore(5, 14), 'all that there is')
    t.ok(held.equals(content))
    const closed = closing(stream)
    stream.destroy()
    await closed
  })
}, notUring)

ringTest('copies that begin while the arena is used up are right', async t => {
  const chunkSize = 1 << 20
  const directory = t.testdir()
  const [file] = makeFiles(directory, [3 * chunkSize + 5])
  await withRing(t, {}, async ring => {
    const holders = Array.from({ length: arenaBytes / chunkSize + 4 }, () => createUringReadStream(file.path, { ring, buffers: 'leased', chunkSize }))
    await Promise.all(holders.map(firstChunk))
    const targets = Array.from({ length: 4 }, (_, i) => join(directory, `target-${i}`))
    await Promise.all(targets.map(async target => {
      const writer = createUringWriteStream(target, { ring })
      createUringReadStream(file.path, { ring, chunkSize }).pipe(writer)
      t.equal(await closing(writer), undefined)
    }))
    t.same(targets.map(target => sha256(readFileSync(target))), targets.map(() => file.sha256))
    await Promise.all(holders.map(stream => {
      const closed = closing(stream)
      stream.destroy()
      return closed
    }))
    assertUnused(t, ring, 'holders and copies have given everything back')
  })
}, notUring)

ringTest('a file goes into the table when it has been used often, one that was given at once', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 100)
  await withRing(t, {}, async ring => {
    const places = freePlaces(ring, path)
    if (places === 0) return void t.pass('the table', { skip: 'this kernel keeps files that were taken out of it, so it is not used' })
    const file = await open(path, 'r', { ring })
    t.ok((await file.readFile()).equals(content))
    t.equal(freePlaces(ring, path), places, 'once is not often')
    for (let i = 0; i < often; i++) await file.read(Buffer.alloc(1), 0, 1, 0)
    t.equal(freePlaces(ring, path), places - 1)
    await file.close()
    t.equal(freePlaces(ring, path), places, 'and out of it when it is closed')
    const stream = createUringReadStream('', { ring, fd: openSync(path, 'r') })
    await next(stream, 'readable')
    t.equal(freePlaces(ring, path), places - 1)
    stream.resume()
    await closing(stream)
    t.equal(freePlaces(ring, path), places)
  })
}, notUring)

ringTest('300 files open at once on one ring are read right, those beyond the table by their descriptors', async t => {
  const files = makeFiles(t.testdir(), Array.from({ length: 300 }, (_, i) => often * 64 + i * 97))
  await withRing(t, {}, async ring => {
    const all = files.map(({ path }) => createUringReadStream(path, { ring, chunkSize: 64 }))
    await Promise.all(all.map(stream => next(stream, 'ready')))
    t.equal(ring.stats().filesInUse, 300)
    t.same(await Promise.all(all.map(digestOf)), files.map(({ sha256 }) => sha256))
    t.equal(ring.stats().filesInUse, 0)
    // What was given back is used again.
    const again = files.slice(0, 10).map(({ path }) => createUringReadStream(path, { ring }))
    await Promise.all(again.map(stream => next(stream, 'ready')))
    t.equal(ring.stats().filesInUse, 10)
    t.same(await Promise.all(again.map(digestOf)), files.slice(0, 10).map(({ sha256 }) => sha256))
  })
}, notUring)

ringTest('300 files open at once are written right', async t => {
  const directory = t.testdir()
  await withRing(t, {}, async ring => {
    const paths = Array.from({ length: 300 }, (_, i) => join(directory, `target-${i}`))
    const contents = paths.map((_, i) => patterned(20_000 + i, i + 1))
    // Given descriptors go into the table at once.
    const all = paths.map(path => createUringWriteStream('', { ring, fd: openSync(path, 'w') }))
    t.same(await Promise.all(all.map((writer, i) => writeOne(writer, contents[i]))), all.map(() => undefined))
    t.equal(ring.stats().filesInUse, 300)
    await ring.submit(ops.nop())
    await Promise.all(all.map(endAndClose))
    const wrong = paths.filter((path, i) => !readFileSync(path).equals(contents[i]))
    t.same(wrong, [])
  })
}, notUring)
