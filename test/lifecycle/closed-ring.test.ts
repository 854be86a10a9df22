import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs'
import { open as openHandle } from 'node:fs/promises'
import { join } from 'node:path'
import {
  copyFile, createUringReadableStream, createUringReadStream, createUringWritableStream, createUringWriteStream, open, ops, Ring
} from '../../lib/index.js'
import * as streamx from '../../lib/streamx.js'
import { isOpenOn } from '../helpers/descriptors.js'
import { readFifo } from '../helpers/fifo.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'
import { rejection } from '../helpers/web-streams.js'

const invalidState = { code: 'ERR_INVALID_STATE' }

ringTest('after close every submission is rejected', async t => {
  const ring = new Ring({ entries: 4 })
  await ring.submit(ops.nop())
  const closed = ring.close()
  await t.rejects(ring.submit(ops.nop()), invalidState, 'at once')
  await closed
  await t.rejects(ring.submit(ops.nop()), invalidState, 'later')
})

ringTest('a stream on a closed ring fails with an error event', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 1000)
  const ring = new Ring({ entries: 4 })
  await ring.close()
  const failure = await closing(createUringReadStream(source.path, { ring }))
  t.match(failure, invalidState)
})

type Begin = (path: string, options: { ring: Ring, fd?: any, atomic?: boolean }) => Promise<unknown>

/** How each kind of stream ends that is read or written at once. */
const streams: Record<string, Begin> = {
  'a Node reader': (path, options) => closing(createUringReadStream(path, options).resume()),
  'a Node writer': (path, options) => closing(createUringWriteStream(path, options).end('new')),
  'a streamx reader': (path, options) => closing(streamx.createUringReadStream(path, options).resume() as any),
  'a streamx writer': (path, options) => {
    const stream = streamx.createUringWriteStream(path, options)
    stream.end('new')
    return closing(stream as any)
  },
  'a Web reader': (path, options) => rejection(createUringReadableStream(path, options).getReader().read()),
  'a Web writer': (path, options) => rejection(createUringWritableStream(path, options).getWriter().closed)
}

for (const [name, begin] of Object.entries(streams)) {
  ringTest(`${name} on a closed ring fails, and closes what it was given`, async t => {
    const directory = t.testdir({ file: 'old' })
    const path = join(directory, 'file')
    const ring = new Ring({ entries: 4 })
    await ring.close()
    t.match(await begin(path, { ring }), invalidState, 'by its path')
    const fd = openSync(path, 'r+')
    t.match(await begin(path, { ring, fd }), invalidState, 'with a descriptor')
    t.notOk(isOpenOn(fd, path), 'which is closed')
    const handle = await openHandle(path, 'r+')
    t.match(await begin(path, { ring, fd: handle }), invalidState, 'with a FileHandle')
    t.equal(handle.fd, -1, 'which is closed')
    if (name.endsWith('writer')) t.match(await begin(path, { ring, atomic: true }), invalidState, 'written atomically')
    t.equal(readFileSync(path, 'latin1'), 'old')
    t.same(readdirSync(directory), ['file'])
    t.match(ring.stats(), { submitted: 0, filesInUse: 0 })
  })

  ringTest(`${name} that begins on a ring which waits for another to close fails as well`, async t => {
    const path = join(t.testdir({ file: 'old' }), 'file')
    const ring = new Ring({ entries: 4 })
    const before = createUringReadStream(path, { ring }).destroy()
    const closed = ring.close()
    t.match(await begin(path, { ring }), invalidState)
    await closed
    t.equal(await closing(before), undefined)
    t.equal(readFileSync(path, 'latin1'), 'old')
  })
}

ringTest('neither a file nor a copy begins on a ring that waits for a stream to close', async t => {
  const directory = t.testdir({ file: 'old' })
  const path = join(directory, 'file')
  const ring = new Ring({ entries: 4 })
  const before = createUringReadStream(path, { ring }).destroy()
  const closed = ring.close()
  await t.rejects(open(path, 'r', { ring }), invalidState)
  await t.rejects(copyFile(path, join(directory, 'copy'), { ring }), invalidState)
  await closed
  t.equal(await closing(before), undefined)
  t.same(readdirSync(directory), ['file'])
})

ringTest('a closed ring still tells what it did', async t => {
  const ring = new Ring({ entries: 4 })
  await ring.submit(ops.nop())
  await ring.close()
  t.match(ring.stats(), { submitted: 1, completed: 1, inFlight: 0, queued: 0, buffersInUse: 0, filesInUse: 0 })
})

ringTest('a ring whose chunks another ring still writes stays until they are written', async t => {
  const content = patterned(512 << 10)
  const directory = t.testdir({ source: '' })
  const source = makeFile(join(directory, 'source'), content.length)
  // Nobody reads the FIFO yet: the writer keeps the chunks when the reader has long been closed.
  const fifo = makeFifo(join(directory, 'fifo'))
  const drain = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
  const [from, to] = [new Ring({ entries: 8 }), new Ring({ entries: 8 })]
  const reader = createUringReadStream(source.path, { ring: from, buffers: 'leased', chunkSize: 128 << 10 })
  const writer = createUringWriteStream(fifo, { ring: to, highWaterMark: 1 << 20 })
  reader.pipe(writer)
  await closing(reader)
  const closed = from.close().catch((error: Error) => error)
  const written = closing(writer)
  t.equal(sha256(await readFifo(drain, content.length)), source.sha256)
  t.equal(await written, undefined)
  if (await closed !== undefined) await from.close()
  await to.close()
  closeSync(drain)
})
