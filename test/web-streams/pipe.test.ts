import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ReadableStream } from 'node:stream/web'
import type { Test } from 'tap'
import { createUringReadableStream, createUringWritableStream, open, Ring } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { makeSharedRings, notUring, ringTest, usage, withRing } from '../helpers/ring-state.js'
import { seededFor, sha256 } from '../helpers/seeded.js'
import { turns, until } from '../helpers/stream-events.js'
import { bytesOfStream, fileAndTarget, rejection } from '../helpers/web-streams.js'

const megabyte = 1 << 20
const nothingOpen = { inFlight: 0, queued: 0, filesInUse: 0, buffersInUse: 0 }

makeSharedRings()

ringTest('pipeTo copies a file and closes both', async t => {
  const { file, target } = fileAndTarget(t, 9 * megabyte + 11)
  const [readable, writable] = [createUringReadableStream(file.path), createUringWritableStream(target)]
  const piped = readable.pipeTo(writable)
  t.same([readable.locked, writable.locked], [true, true], 'they are locked meanwhile')
  t.equal(await piped, undefined)
  t.same([readable.locked, writable.locked], [false, false])
  t.match(usage(Ring.shared()), nothingOpen)
  t.equal(sha256(readFileSync(target)), file.sha256)
  t.match(await readable.getReader().read(), { done: true })
  t.equal(writable.getWriter().desiredSize, 0)
  t.same([readable.bytesRead, writable.bytesWritten], [file.content.length, file.content.length])
})

ringTest('chunks are handed over: two operations for each, and none is seen by JavaScript', async t => {
  const { file, target } = fileAndTarget(t, 100 * 65_536)
  await withRing(t, {}, async ring => {
    const options = { ring, chunkSize: 65_536 }
    let buffers = 0
    let seen = 0
    const acquire = ring.engine.acquireBuffer.bind(ring.engine)
    ring.engine.acquireBuffer = bytes => {
      const buffer = acquire(bytes)
      const lend = buffer.lend.bind(buffer)
      buffer.lend = length => {
        seen++
        return lend(length)
      }
      buffers++
      return buffer
    }
    const [readable, writable] = [createUringReadableStream(file.path, options), createUringWritableStream(target, options)]
    await readable.pipeTo(writable)
    const { submitted } = ring.stats()
    t.ok(submitted >= 200 && submitted <= 220, `${submitted} operations for 100 chunks`)
    t.ok(buffers > 0 && buffers <= 10, `${buffers} buffers for 100 chunks`)
    t.equal(seen, 0, 'chunks that were made of them')
  })
  t.equal(sha256(readFileSync(target)), file.sha256)
}, notUring)

ringTest('streams that were used before are piped from where they are', async t => {
  const { file, target } = fileAndTarget(t, 3 * megabyte)
  const random = seededFor(t)
  for (let round = 0; round < 12; round++) {
    const chunkSize = random.pick([10_000, 200_000])
    const readable = createUringReadableStream(file.path, { chunkSize })
    const writable = createUringWritableStream(target)
    const parts: Uint8Array[] = []
    const writer = writable.getWriter()
    if (random.chance()) void writer.write('head ')
    else parts.length = 0
    const head = random.chance() ? 'awaited ' : ''
    if (head !== '') await writer.write(head)
    writer.releaseLock()
    if (random.chance()) {
      const reader = readable.getReader({ mode: 'byob' })
      parts.push((await reader.read(new Uint8Array(random.pick([10, 100_000])))).value!)
      reader.releaseLock()
    }
    if (random.chance()) {
      const reader = readable.getReader()
      parts.push((await reader.read()).value!)
      reader.releaseLock()
    }
    await readable.pipeTo(writable)
    const taken = Buffer.concat(parts).length
    const written = readFileSync(target)
    const body = written.subarray(written.length - (file.content.length - taken))
    t.ok(body.equals(file.content.subarray(taken)))
    const before = written.subarray(0, written.length - body.length).toString()
    t.ok(['', 'head ', 'awaited ', 'head awaited '].includes(before) && before.endsWith(head), `before it: "${before}"`)
  }
})

ringTest('preventClose leaves the destination to be written on', async t => {
  const { file, target } = fileAndTarget(t, 2 * megabyte + 1)
  const writable = createUringWritableStream(target)
  for (let i = 0; i < 3; i++) await createUringReadableStream(file.path).pipeTo(writable, { preventClose: true })
  const writer = writable.getWriter()
  await writer.write('tail')
  await writer.close()
  t.ok(readFileSync(target).equals(Buffer.concat([file.content, file.content, file.content, Buffer.from('tail')])))
})

for (const [how, readers] of [
  ['ours to ours', (path: string) => createUringReadableStream(path)],
  ['another to ours', () => new ReadableStream({ pull() { throw Object.assign(new Error('no'), { code: 'ENOENT' }) } })]
] as [string, (path: string) => ReadableStream<Uint8Array>][]) {
  ringTest(`an error of the source aborts the destination, unless preventAbort (${how})`, async t => {
    const { target, directory } = fileAndTarget(t, 1)
    const missing = join(directory, 'missing')
    const writable = createUringWritableStream(target)
    t.match(await rejection(readers(missing).pipeTo(writable as any)), { code: 'ENOENT' })
    t.match(usage(Ring.shared()), nothingOpen)
    t.match(await rejection(writable.getWriter().closed), { code: 'ENOENT' })
    const kept = createUringWritableStream(target)
    t.match(await rejection(readers(missing).pipeTo(kept as any, { preventAbort: true })), { code: 'ENOENT' })
    t.equal(kept.locked, false)
    const writer = kept.getWriter()
    await writer.write('goes on')
    await writer.close()
    t.equal(readFileSync(target).toString(), 'goes on')
  })
}

ringTest('an error of the destination cancels the source, unless preventCancel', async t => {
  const { file } = fileAndTarget(t, 5 * megabyte)
  const readable = createUringReadableStream(file.path, { chunkSize: 100_000 })
  t.match(await rejection(readable.pipeTo(createUringWritableStream('/dev/full'))), { code: 'ENOSPC' })
  t.match(usage(Ring.shared()), nothingOpen)
  t.match(await readable.getReader().read(), { done: true })
  const kept = createUringReadableStream(file.path, { chunkSize: 100_000 })
  t.match(await rejection(kept.pipeTo(createUringWritableStream('/dev/full'), { preventCancel: true })), { code: 'ENOSPC' })
  t.equal(kept.locked, false)
  const rest = await bytesOfStream(kept)
  t.ok(rest.length > 0 && file.content.subarray(file.content.length - rest.length).equals(rest))
})

ringTest('after an error of the file the destination is errored, whoever waited for it', async t => {
  const { file } = fileAndTarget(t, 5 * megabyte)
  for (const bytes of [1000, 150_000, 300_000, 5 * megabyte]) {
    const writable = createUringWritableStream('/dev/full', { chunkSize: 65_536, writeBehind: 2 })
    const piped = createUringReadableStream(file.path, { chunkSize: 65_536, end: bytes - 1 }).pipeTo(writable)
    const error = await rejection(piped)
    t.match(error, { code: 'ENOSPC' })
    const writer = writable.getWriter()
    t.same([await rejection(writer.closed), await rejection(writer.write('late'))], [error, error])
  }
})

ringTest('a destination that cannot be opened cancels the source', async t => {
  const { file, directory } = fileAndTarget(t, 1000)
  const readable = createUringReadableStream(file.path)
  const piped = readable.pipeTo(createUringWritableStream(join(directory, 'missing', 'file')))
  t.match(await rejection(piped), { code: 'ENOENT' })
  t.match(usage(Ring.shared()), nothingOpen)
  t.match(await readable.getReader().read(), { done: true })
})

for (const engine of ['uring', 'threads'] as const) {
  ringTest(`a destination that is refused once it is open cancels the source, on ${engine}`, async t => {
    const { file, target } = fileAndTarget(t, 1000)
    for (const [options, code] of [
      [{ preallocate: 1 }, 'ERR_INVALID_ARG_VALUE'],
      [{ direct: true }, 'ERR_DIRECT_UNAVAILABLE']
    ] as const) {
      const readable = createUringReadableStream(file.path, { engine })
      const piped = readable.pipeTo(createUringWritableStream(target, { engine, flags: 'a', ...options }))
      t.match(await rejection(piped), { code })
      t.match(usage(Ring.shared(engine)), nothingOpen)
      t.match(await readable.getReader().read(), { done: true })
    }
  }, engine === 'uring' && notUring)
}

ringTest('a destination that is closed, or was told to close, cancels the source with a TypeError', async t => {
  const { file, target } = fileAndTarget(t, 1000)
  for (const waits of [true, false]) {
    const writable = createUringWritableStream(target)
    const closed = writable.close()
    if (waits) await closed
    const readable = createUringReadableStream(file.path)
    t.ok(await rejection(readable.pipeTo(writable)) instanceof TypeError)
    await closed
    t.match(await readable.getReader().read(), { done: true })
    t.match(usage(Ring.shared()), nothingOpen)
  }
})

ringTest('what is no stream, or is locked, is refused without a lock', async t => {
  const { file, target } = fileAndTarget(t, 1000)
  const readable = createUringReadableStream(file.path)
  const writable = createUringWritableStream(target)
  t.ok(await rejection(readable.pipeTo({} as any)) instanceof TypeError)
  t.ok(await rejection(readable.pipeTo(writable, { signal: {} as any })) instanceof TypeError)
  t.same([readable.locked, writable.locked], [false, false])
  const reader = readable.getReader()
  t.ok(await rejection(readable.pipeTo(writable)) instanceof TypeError)
  t.equal(writable.locked, false)
  reader.releaseLock()
  const writer = writable.getWriter()
  t.ok(await rejection(readable.pipeTo(writable)) instanceof TypeError)
  t.equal(readable.locked, false)
  writer.releaseLock()
  await readable.pipeTo(writable)
  t.equal(sha256(readFileSync(target)), file.sha256)
})

/** A pipe out of a FIFO that gives `head` and then waits. */
async function waitingPipe(t: Test, options: object): Promise<{
  holder: Awaited<ReturnType<typeof open>>, readable: ReturnType<typeof createUringReadableStream>,
  writable: ReturnType<typeof createUringWritableStream>, target: string, piped: Promise<void>
}> {
  const directory = t.testdir()
  const fifo = makeFifo(join(directory, 'fifo'))
  const target = join(directory, 'target')
  const holder = await open(fifo, 'r+')
  const [readable, writable] = [createUringReadableStream(fifo), createUringWritableStream(target)]
  const piped = readable.pipeTo(writable, options)
  await holder.write('head')
  await until(() => existsSync(target) && statSync(target).size === 4)
  return { holder, readable, writable, target, piped }
}

for (const preventAbort of [false, true]) {
  for (const preventCancel of [false, true]) {
    ringTest(`a signal ends a pipe that waits (preventAbort ${preventAbort}, preventCancel ${preventCancel})`, async t => {
      const controller = new AbortController()
      const options = { signal: controller.signal, preventAbort, preventCancel }
      const { holder, readable, writable, target, piped } = await waitingPipe(t, options)
      const reason = new Error('enough')
      controller.abort(reason)
      t.equal(await rejection(piped), reason)
      t.same([readable.locked, writable.locked], [false, false])
      const reader = readable.getReader()
      const writer = writable.getWriter()
      if (preventCancel) {
        const read = reader.read()
        await holder.write('next')
        t.equal(Buffer.from((await read).value!).toString(), 'next', 'the source goes on without a gap')
        await reader.cancel()
      } else {
        t.match(await reader.read(), { done: true })
      }
      if (preventAbort) {
        await writer.write('tail')
        await writer.close()
        t.equal(readFileSync(target).toString(), 'headtail', 'the destination goes on')
      } else {
        t.equal(await rejection(writer.closed), reason)
      }
      await holder.close()
    }, notUring)
  }
}

ringTest('a signal that was aborted before ends the pipe before it begins', async t => {
  const { file, target } = fileAndTarget(t, 1000)
  const reason = new Error('before')
  const [readable, writable] = [createUringReadableStream(file.path), createUringWritableStream(target)]
  t.equal(await rejection(readable.pipeTo(writable, { signal: AbortSignal.abort(reason) })), reason)
  t.match(usage(Ring.shared()), nothingOpen)
  t.equal(statSync(target).size, 0)
})

ringTest('a pipe that is aborted at any moment gives every buffer back', async t => {
  const { file, target } = fileAndTarget(t, 3 * megabyte)
  const random = seededFor(t)
  for (let round = 0; round < 40; round++) {
    const controller = new AbortController()
    const readable = createUringReadableStream(file.path, { chunkSize: 50_000 })
    const writable = createUringWritableStream(target, { chunkSize: 50_000 })
    const piped = readable.pipeTo(writable, { signal: controller.signal }).then(() => 'done', error => error)
    await turns(random.between(0, 25))
    for (let ticks = random.between(0, 5); ticks > 0; ticks--) await null
    controller.abort()
    t.ok(['done', controller.signal.reason].includes(await piped))
    const used = usage(Ring.shared())
    if (JSON.stringify(used) !== JSON.stringify({ ...used, ...nothingOpen })) t.fail(`round ${round}: ${JSON.stringify(used)}`)
  }
})

ringTest('streams of two rings are piped', async t => {
  const { file, target } = fileAndTarget(t, 3 * megabyte)
  await withRing(t, { entries: 8 }, from => withRing(t, { entries: 8 }, async to => {
    await createUringReadableStream(file.path, { ring: from, chunkSize: 50_000 }).pipeTo(createUringWritableStream(target, { ring: to }))
    t.equal(sha256(readFileSync(target)), file.sha256)
  }))
})

ringTest('both engines pipe', async t => {
  const { file, target } = fileAndTarget(t, 3 * megabyte)
  for (const engine of ['auto', 'threads'] as const) {
    await createUringReadableStream(file.path, { engine }).pipeTo(createUringWritableStream(target, { engine }))
    t.equal(sha256(readFileSync(target)), file.sha256, engine)
  }
})

ringTest('a range is piped to a place', async t => {
  const { file, target } = fileAndTarget(t, megabyte)
  const readable = createUringReadableStream(file.path, { start: 100, end: 700_000 })
  await readable.pipeTo(createUringWritableStream(target, { start: 50 }))
  t.ok(readFileSync(target).equals(Buffer.concat([Buffer.alloc(50), file.content.subarray(100, 700_001)])))
})
