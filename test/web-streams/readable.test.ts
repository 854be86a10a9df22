import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { ReadableStream } from 'node:stream/web'
import { createUringReadableStream, createUringReadStream, open, Ring, UringReadableStream } from '../../lib/index.js'
import type { ReadableStreamOptions } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, usage, withRing } from '../helpers/ring-state.js'
import { seededFor, sha256 } from '../helpers/seeded.js'
import { thrown, turns, until } from '../helpers/stream-events.js'
import { bytesOfStream, fileAndTarget, rejection } from '../helpers/web-streams.js'

const megabyte = 1 << 20

ringTest('it is a ReadableStream whose chunks are the file', async t => {
  const { file } = fileAndTarget(t, 3 * megabyte + 7)
  const stream = createUringReadableStream(file.path)
  t.ok(stream instanceof UringReadableStream && stream instanceof ReadableStream && stream instanceof globalThis.ReadableStream)
  t.equal(stream.path, file.path)
  t.equal(stream.locked, false)
  t.equal(sha256(await bytesOfStream(stream)), file.sha256)
  t.equal(stream.bytesRead, file.content.length)
})

ringTest('every chunk is a Uint8Array with an ArrayBuffer of its own', async t => {
  const directory = t.testdir()
  for (const length of [1, 10, 300, 5000, 40_000]) {
    const path = join(directory, `small-${length}`)
    writeFileSync(path, Buffer.alloc(length, 'x'))
    const kept: Uint8Array[] = []
    for (let i = 0; i < 3; i++) for await (const chunk of createUringReadableStream(path)) kept.push(chunk)
    t.equal(kept.length, 3)
    t.equal(new Set(kept.map(({ buffer }) => buffer)).size, 3, 'a buffer is not shared with another chunk')
    for (const chunk of kept) {
      t.equal(Object.getPrototypeOf(chunk), Uint8Array.prototype)
      t.ok(Buffer.alloc(length, 'x').equals(chunk))
      t.ok(chunk.buffer.byteLength < 2 * length + 2048, 'a small chunk keeps no large buffer alive')
    }
  }
})

ringTest('ranges, chunk sizes and depths read the bytes that they say', async t => {
  const { file } = fileAndTarget(t, 300_000)
  const random = seededFor(t)
  for (let round = 0; round < 40; round++) {
    const start = random.between(0, 310_000)
    const options: ReadableStreamOptions = {
      start,
      end: random.chance() ? start + random.between(0, 310_000) : undefined,
      chunkSize: random.pick([1000, 4096, 65_536, 1_000_000]),
      readAhead: random.pick([1, 2, 8])
    }
    const bytes = await bytesOfStream(createUringReadableStream(file.path, options))
    const wanted = file.content.subarray(start, options.end === undefined ? undefined : options.end + 1)
    if (!bytes.equals(wanted)) t.fail(JSON.stringify(options))
  }
})

ringTest('chunkSize is the size of a chunk', async t => {
  const { file } = fileAndTarget(t, 100_000)
  const sizes: number[] = []
  for await (const { byteLength } of createUringReadableStream(file.path, { chunkSize: 30_000 })) sizes.push(byteLength)
  t.same(sizes, [30_000, 30_000, 30_000, 10_000])
})

ringTest('nothing is read before it is asked for, and not more than the window holds', async t => {
  const { file } = fileAndTarget(t, 64 * 4096)
  await withRing(t, {}, async ring => {
    const reads = () => ring.stats().submitted
    const reader = createUringReadableStream(file.path, { ring, chunkSize: 4096, readAhead: 3 }).getReader()
    await until(() => ring.stats().filesInUse === 1)
    await turns(3)
    const opened = reads()
    await reader.read()
    t.ok(reads() > opened)
    for (let i = 0; i < 9; i++) await reader.read()
    await turns(3)
    t.ok(reads() - opened <= 10 + 3, `${reads() - opened} reads for 10 chunks`)
    await reader.cancel()
  })
})

ringTest('a file without bytes ends at once', async t => {
  const { file } = fileAndTarget(t, 0)
  t.same(await createUringReadableStream(file.path).getReader().read(), { value: undefined, done: true })
})

ringTest('leaving a for await loop cancels the stream and closes the file', async t => {
  const { file } = fileAndTarget(t, megabyte)
  const stream = createUringReadableStream(file.path, { chunkSize: 4096 })
  for await (const chunk of stream) {
    t.ok(file.content.subarray(0, 4096).equals(chunk))
    break
  }
  t.equal(stream.locked, false)
  t.match(usage(Ring.shared()), { inFlight: 0, filesInUse: 0 }, 'the file is closed when the loop is left')
  t.match(await stream.getReader().read(), { done: true })
})

ringTest('values({ preventCancel }) leaves the stream to others', async t => {
  const { file } = fileAndTarget(t, 40_000)
  const stream = createUringReadableStream(file.path, { chunkSize: 10_000 })
  const parts: Uint8Array[] = []
  for await (const chunk of stream.values({ preventCancel: true })) {
    parts.push(chunk)
    break
  }
  parts.push(await bytesOfStream(stream))
  t.ok(Buffer.concat(parts).equals(file.content))
})

ringTest('both branches of a tee give all of the file, whatever they are read by', async t => {
  const { file } = fileAndTarget(t, 400_000)
  for (const chunkSize of [4096, 70_000]) {
    const [one, two] = createUringReadableStream(file.path, { chunkSize }).tee()
    const [first, second] = await Promise.all([bytesOfStream(one), bytesOfStream(two)])
    t.same([sha256(first), sha256(second)], [file.sha256, file.sha256])
  }
})

ringTest('cancelling both branches of a tee closes the file', async t => {
  const { file } = fileAndTarget(t, megabyte)
  const [one, two] = createUringReadableStream(file.path, { chunkSize: 4096 }).tee()
  const reader = one.getReader()
  await reader.read()
  const first = reader.cancel('one')
  await turns(2)
  t.match(usage(Ring.shared()), { filesInUse: 1 }, 'one branch still reads it')
  await Promise.all([first, two.cancel('two')])
})

ringTest('Readable.fromWeb and Readable.toWeb carry it', async t => {
  const { file } = fileAndTarget(t, 2 * megabyte + 1)
  t.equal(sha256(await buffer(Readable.fromWeb(createUringReadableStream(file.path)))), file.sha256)
  const web = Readable.toWeb(createUringReadStream(file.path)) as ReadableStream<Uint8Array>
  t.equal(sha256(await bytesOfStream(web)), file.sha256)
})

ringTest('destroying Readable.fromWeb cancels the stream', async t => {
  const { file } = fileAndTarget(t, megabyte)
  const readable = Readable.fromWeb(createUringReadableStream(file.path, { chunkSize: 4096 }))
  for await (const chunk of readable) {
    t.ok(chunk.length > 0)
    break
  }
  await until(() => Ring.shared().stats().filesInUse === 0 && Ring.shared().stats().inFlight === 0)
})

ringTest('a FIFO is read as it is written, and its reads can be cancelled', async t => {
  const path = makeFifo(join(t.testdir(), 'fifo'))
  const writer = await open(path, 'r+')
  const reader = createUringReadableStream(path).getReader()
  for (const text of ['one', 'two', 'three']) {
    const read = reader.read()
    await writer.write(text)
    const { value } = await read
    t.equal(Buffer.from(value!).toString(), text)
  }
  const pending = reader.read()
  await turns(3)
  await reader.cancel()
  t.match(await pending, { done: true })
  await writer.close()
}, notUring)

ringTest('files that do not know their size are read to the end', async t => {
  const bytes = await bytesOfStream(createUringReadableStream('/proc/self/limits'))
  t.match(bytes.toString(), 'Max open files')
})

ringTest('a UringFile gives streams from its own position on, and is closed by them', async t => {
  const { file } = fileAndTarget(t, 100_000)
  const handle = await open(file.path)
  await handle.read(Buffer.alloc(1000))
  t.ok((await bytesOfStream(handle.readableStream())).equals(file.content.subarray(1000)))
  t.equal(handle.fd, -1)
})

ringTest('with autoClose false the file stays open, and more streams of it may follow', async t => {
  const { file } = fileAndTarget(t, 100_000)
  const handle = await open(file.path)
  for (let i = 0; i < 12; i++) {
    const stream = handle.readableStream({ autoClose: false, start: i, end: 50_000 + i })
    t.ok((await bytesOfStream(stream)).equals(file.content.subarray(i, 50_001 + i)))
  }
  t.equal(handle.listenerCount('close'), 0, 'they leave no listener behind')
  const stream = handle.readableStream({ autoClose: false })
  await stream.cancel()
  await handle.close()
})

ringTest('closing a UringFile waits for its stream, which errors', async t => {
  const { file } = fileAndTarget(t, megabyte)
  const handle = await open(file.path)
  const reader = handle.readableStream({ chunkSize: 4096 }).getReader()
  await reader.read()
  await handle.close()
  t.match(await rejection(reader.read()), { code: 'ERR_INVALID_STATE' })
  t.match(await rejection(reader.closed), { code: 'ERR_INVALID_STATE' })
})

ringTest('both engines give the same bytes', async t => {
  const { file } = fileAndTarget(t, megabyte)
  for (const engine of ['auto', 'threads'] as const) {
    const stream = createUringReadableStream(file.path, { engine, start: 5, end: 700_000 })
    t.ok((await bytesOfStream(stream)).equals(file.content.subarray(5, 700_001)), engine)
  }
})

for (const [what, options, code] of [
  ['a string', 'utf8', 'ERR_INVALID_ARG_TYPE'],
  ['a negative start', { start: -1 }, 'ERR_OUT_OF_RANGE'],
  ['an end before the start', { start: 2, end: 1 }, 'ERR_OUT_OF_RANGE'],
  ['a chunkSize of 0', { chunkSize: 0 }, 'ERR_OUT_OF_RANGE'],
  ['a readAhead of 0', { readAhead: 0 }, 'ERR_OUT_OF_RANGE'],
  ['a signal that is none', { signal: {} }, 'ERR_INVALID_ARG_TYPE'],
  ['a ring that is none', { ring: {} }, 'ERR_INVALID_ARG_TYPE'],
  ['an engine that is none', { engine: 'steam' }, 'ERR_INVALID_ARG_VALUE']
] as [string, any, string][]) {
  ringTest(`${what} is refused at once`, async t => {
    t.match(thrown(() => createUringReadableStream('/dev/null', options)), { code })
  })
}

ringTest('a path with a NUL is refused at once', async t => {
  t.match(thrown(() => createUringReadableStream('a\0b')), { code: 'ERR_INVALID_ARG_VALUE' })
  t.match(thrown(() => createUringReadableStream(undefined as any)), { code: 'ERR_INVALID_ARG_TYPE' })
})
