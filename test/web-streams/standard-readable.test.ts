/*
 * The Web Platform Tests (web-platform-tests/wpt, streams/) that apply to a readable byte stream whose source is a file.
 * Under "here" is the number of a test below; byob, readable, readable-errors, pipe, interop are the other files.
 *
 * | readable-byte-streams/   | here |
 * |---|---|
 * | templated                | closed: 1, errored: 2, waiting: 3 |
 * | general                  | locks: 4, 5; closing and erroring release nobody: 1, 2; order of reads: 6; cancel: 7, 8; views of every kind, larger
 * |                          | and smaller than what comes, several at once, respond, odd ends, released readers: byob; tee: 9-11 |
 * | read-min                 | 12-14 |
 * | tee                      | 9-11, byob, readable |
 * | bad-buffers-and-views, detached-buffers, non-transferable-buffers | byob (what a reader may do wrong; a source's wrongs are none of ours) |
 * | readable-streams/        | |
 * | default-reader, general  | 1-6 |
 * | cancel                   | 7, 8, readable-errors |
 * | tee                      | 9-11 |
 * | async-iterator           | 15-17, readable |
 * | garbage-collection       | lifecycle/collected-streams |
 * | piping/                  | pipe, interop |
 *
 * Of the platform and not of a source, or of a source that does wrong, and so not here: brand-checks, properties, constructor,
 * patched-global, construct-byob-request, enqueue-with-detached-buffer, respond-after-enqueue, autoAllocateChunkSize, strategies,
 * floating-point-total-queue-size, bad-underlying-sources, reentrant-strategies, from, owning-type.
 */
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import type { ReadableStream } from 'node:stream/web'
import type { Test } from 'tap'
import { createUringReadableStream, open, Ring } from '../../lib/index.js'
import type { UringFile } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, slowReads, withRing } from '../helpers/ring-state.js'
import { thrown, turns, until } from '../helpers/stream-events.js'
import { bytesOfStream, fileAndTarget, rejection, watch } from '../helpers/web-streams.js'

/** The two kinds of reader, with a read that suits each. */
const kinds = [undefined, 'byob'] as const
type Kind = typeof kinds[number]

function readerOf(stream: ReadableStream<Uint8Array>, mode: Kind): {
  reader: ReturnType<ReadableStream['getReader']>, read: (size?: number) => Promise<{ value?: Uint8Array, done: boolean }>
} {
  const reader = stream.getReader({ mode } as any) as any
  return { reader, read: (size = 100_000) => mode === 'byob' ? reader.read(new Uint8Array(size)) : reader.read() }
}

/** A stream that waits for bytes until they are written to what it reads. */
async function waitingStream(t: Test): Promise<{ stream: ReadableStream<Uint8Array>, holder: UringFile }> {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const holder = await open(fifo, 'r+')
  return { stream: createUringReadableStream(fifo), holder }
}

for (const mode of kinds) {
  const name = mode ?? 'default'

  ringTest(`1. closed (${name}): reads are done, closed and cancel resolve, for this reader and the next; the lock stays`, async t => {
    const { file } = fileAndTarget(t, 100)
    const stream = createUringReadableStream(file.path)
    const first = readerOf(stream, mode)
    while (!(await first.read()).done);
    t.equal(await first.reader.closed, undefined)
    t.ok(thrown(() => stream.getReader()) instanceof TypeError)
    t.match(await first.read(), { done: true })
    t.equal(await first.reader.cancel('late'), undefined)
    first.reader.releaseLock()
    const second = readerOf(stream, mode)
    t.equal(await second.reader.closed, undefined)
    t.match(await second.read(), { done: true })
  })

  ringTest(`2. errored (${name}): everything rejects with the one error, for this reader and the next; the lock stays`, async t => {
    const stream = createUringReadableStream(join(t.testdir(), 'missing'))
    const first = readerOf(stream, mode)
    const error = await rejection(first.reader.closed)
    t.match(error, { code: 'ENOENT' })
    t.equal(await rejection(first.read()), error)
    t.equal(await rejection(first.reader.cancel()), error)
    t.ok(thrown(() => stream.getReader()) instanceof TypeError)
    first.reader.releaseLock()
    t.equal(await rejection(stream.cancel()), error)
    const second = readerOf(stream, mode)
    t.equal(await rejection(second.reader.closed), error)
    t.equal(await rejection(second.read()), error)
  })

  ringTest(`3. waiting (${name}): a read is pending until bytes come, and closed until the end`, async t => {
    const { stream, holder } = await waitingStream(t)
    const { reader, read } = readerOf(stream, mode)
    const pending = read()
    const [watched, closed] = [watch(pending), watch(reader.closed)]
    await turns(5)
    t.same([watched.state, closed.state], ['pending', 'pending'])
    writeSync(holder.fd, 'bytes')
    t.equal(Buffer.from((await pending).value!).toString(), 'bytes')
    await reader.cancel()
    t.equal(await reader.closed, undefined)
    await holder.close()
  }, notUring)

  ringTest(`4. a released reader (${name}) rejects everything with a TypeError and has no say in the stream`, async t => {
    const { file } = fileAndTarget(t, 100)
    const stream = createUringReadableStream(file.path)
    const { reader, read } = readerOf(stream, mode)
    const { closed } = reader
    reader.releaseLock()
    reader.releaseLock() // does nothing
    for (const promise of [closed, reader.closed, read(), reader.cancel()]) t.ok(await rejection(promise) instanceof TypeError)
    t.equal(stream.locked, false)
    t.ok((await bytesOfStream(stream)).equals(file.content))
  })

  ringTest(`5. a locked stream has no second reader, tee or pipe (${name})`, async t => {
    const { file } = fileAndTarget(t, 100)
    const stream = createUringReadableStream(file.path)
    const { reader, read } = readerOf(stream, mode)
    for (const second of kinds) t.ok(thrown(() => stream.getReader({ mode: second } as any)) instanceof TypeError)
    t.ok(thrown(() => stream.tee()) instanceof TypeError)
    t.ok(thrown(() => stream.values()) instanceof TypeError)
    t.ok(await rejection(stream.pipeTo(new WritableStream() as any)) instanceof TypeError)
    t.ok(await rejection(stream.cancel()) instanceof TypeError)
    t.ok(file.content.equals((await read()).value!), 'its reader reads on')
    await reader.cancel()
  })

  ringTest(`6. reads that are asked for together come in order, the last ones done (${name})`, async t => {
    const { file } = fileAndTarget(t, 250_000)
    const { read } = readerOf(createUringReadableStream(file.path, { chunkSize: 100_000 }), mode)
    const order: number[] = []
    const reads = Array.from({ length: 5 }, (_, i) => read().then(result => {
      order.push(i)
      return result
    }))
    const results = await Promise.all(reads)
    t.same(order, [0, 1, 2, 3, 4])
    t.same(results.map(({ done }) => done), [false, false, false, true, true])
    t.ok(Buffer.concat(results.slice(0, 3).map(({ value }) => value!)).equals(file.content))
  })

  ringTest(`7. cancel resolves with undefined, once and again; reads and closed are over (${name})`, async t => {
    const { file } = fileAndTarget(t, 250_000)
    const { reader, read } = readerOf(createUringReadableStream(file.path, { chunkSize: 100_000 }), mode)
    await read()
    const late = read()
    t.same(await Promise.all([reader.cancel('reason'), reader.cancel('again')]), [undefined, undefined])
    await late
    t.same(await read(), { done: true, value: mode === 'byob' ? (await read()).value : undefined })
    t.equal(await reader.closed, undefined)
  })
}

ringTest('8. cancel before the file is open, and of a stream without a reader', async t => {
  const { file } = fileAndTarget(t, 100)
  const stream = createUringReadableStream(file.path)
  t.equal(await stream.cancel(), undefined)
  t.equal(await stream.cancel(), undefined)
  t.equal((await bytesOfStream(stream)).length, 0)
})

ringTest('9. the branches of a tee have memory of their own, and are read by any kind of reader', async t => {
  const { file } = fileAndTarget(t, 100_000)
  const [one, two] = createUringReadableStream(file.path).tee()
  const [first, second] = [readerOf(one, 'byob'), readerOf(two, undefined)]
  const part = (await first.read(1000)).value!
  t.ok(file.content.subarray(0, part.length).equals(part))
  part.fill(0)
  const other = (await second.read()).value!
  t.ok(file.content.subarray(0, other.length).equals(other))
  second.reader.releaseLock()
  t.ok(Buffer.concat([other, await bytesOfStream(two)]).equals(file.content), 'the other branch goes to its end alone')
  await first.reader.cancel()
})

ringTest('10. both branches of a tee have the source\'s error', async t => {
  const [one, two] = createUringReadableStream(join(t.testdir(), 'missing')).tee()
  const errors = await Promise.all([rejection(one.getReader().read()), rejection(two.getReader({ mode: 'byob' }).read(new Uint8Array(10)))])
  t.match(errors[0], { code: 'ENOENT' })
  t.equal(errors[1], errors[0])
})

ringTest('11. cancelling one branch leaves the other; both cancels resolve when the second comes', async t => {
  const { file } = fileAndTarget(t, 300_000)
  const stream = createUringReadableStream(file.path, { chunkSize: 100_000 })
  const [one, two] = stream.tee()
  const first = one.cancel('one')
  const watched = watch(first)
  t.ok((await bytesOfStream(two)).equals(file.content))
  await first
  t.equal(watched.state, 'resolved')
  t.equal(stream.locked, true, 'the stream is its branches\'')
})

ringTest('12. read(view, { min }) waits for so many elements, over as many reads as they take', async t => {
  const { stream, holder } = await waitingStream(t)
  const reader = stream.getReader({ mode: 'byob' }) as any
  for (const size of [100, 100_000]) { // from the window, and by reads of its own
    const read = reader.read(new Uint16Array(size), { min: 5 })
    const watched = watch(read)
    for (const text of ['abc', 'def']) {
      writeSync(holder.fd, text)
      await turns(10)
      t.equal(watched.state, 'pending')
    }
    writeSync(holder.fd, 'ghij')
    const { value, done } = await read
    t.equal(done, false)
    t.equal(value.constructor, Uint16Array)
    t.equal(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString(), 'abcdefghij')
  }
  await reader.cancel()
  await holder.close()
}, notUring)

ringTest('13. what the end leaves of a { min } is given with done', async t => {
  const { file } = fileAndTarget(t, 100_000)
  for (const [size, min] of [[200_000, 150_000], [200_000, 200_000], [100_001, 100_001]]) {
    const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' }) as any
    const { value, done } = await reader.read(new Uint8Array(size), { min })
    t.equal(done, true)
    t.ok(file.content.equals(value))
  }
})

ringTest('14. a { min } of 0, or larger than the view, is refused', async t => {
  const { file } = fileAndTarget(t, 100)
  const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' }) as any
  t.ok(await rejection(reader.read(new Uint8Array(10), { min: 0 })) instanceof TypeError)
  t.ok(await rejection(reader.read(new Uint8Array(10), { min: 11 })) instanceof RangeError)
  t.ok(await rejection(reader.read(new Uint16Array(10), { min: 11 })) instanceof RangeError)
  await reader.cancel()
})

ringTest('15. an iterator\'s nexts that are not waited for come in order, and done stays done', async t => {
  const { file } = fileAndTarget(t, 250_000)
  const stream = createUringReadableStream(file.path, { chunkSize: 100_000 })
  const iterator = stream[Symbol.asyncIterator]()
  const results = await Promise.all(Array.from({ length: 5 }, () => iterator.next()))
  t.same(results.map(({ done }) => done), [false, false, false, true, true])
  t.ok(Buffer.concat(results.slice(0, 3).map(({ value }) => value!)).equals(file.content))
  t.match(await iterator.next(), { done: true })
  t.equal(stream.locked, false)
})

ringTest('16. an iterator rejects with the stream\'s error once, and is done then', async t => {
  const stream = createUringReadableStream(join(t.testdir(), 'missing'))
  const iterator = stream[Symbol.asyncIterator]()
  t.match(await rejection(iterator.next()), { code: 'ENOENT' })
  t.match(await iterator.next(), { done: true, value: undefined })
  t.equal(stream.locked, false)
  t.match(await rejection(stream.getReader().closed), { code: 'ENOENT' })
})

ringTest('17. an iterator\'s return cancels, gives its value and releases the lock', async t => {
  const { file } = fileAndTarget(t, 250_000)
  const stream = createUringReadableStream(file.path, { chunkSize: 100_000 })
  const iterator = stream.values()
  await iterator.next()
  t.same(await (iterator as any).return('value'), { done: true, value: 'value' })
  t.equal(stream.locked, false)
  t.match(await iterator.next(), { done: true })
  t.equal((await bytesOfStream(stream)).length, 0)
})

ringTest('a consumer that stops reading holds at most readAhead chunks, and cancel frees them', async t => {
  const { file } = fileAndTarget(t, 100 * 4096)
  await withRing(t, {}, async ring => {
    slowReads(ring)
    const reader = createUringReadableStream(file.path, { ring, chunkSize: 4096, readAhead: 3 }).getReader()
    for (let i = 0; i < 20; i++) await reader.read()
    await until(() => ring.stats().inFlight === 0)
    const { submitted } = ring.stats()
    await turns(20)
    const { inFlight, ready } = ring.stats()
    t.equal(inFlight, 0)
    t.ok(ready > 0 && ready <= 3, `${ready} chunks wait`)
    t.ok(ring.stats().submitted - submitted <= 3)
    await reader.cancel()
    t.match(ring.stats(), { inFlight: 0, ready: 0, buffersInUse: 0, filesInUse: 0 })
  })
  t.equal(Ring.shared().stats().inFlight, 0)
})
