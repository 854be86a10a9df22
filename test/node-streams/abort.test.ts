import { getEventListeners } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { addAbortSignal } from 'node:stream'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned } from '../helpers/seeded.js'
import { closing, endAndClose, next, onData, properties, readAll, recordEvents, turns, writeOne } from '../helpers/stream-events.js'

const ABORTED = { name: 'AbortError', code: 'ABORT_ERR' }
const CONTENT = patterned(300_000)
const NAMES = ['end', 'finish', 'error', 'close']

streamTest('an abort in the same tick, at open and at ready stops a reading stream', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  for (const state of ['same tick', 'open', 'ready']) {
    const controller = new AbortController()
    const stream = createUringReadStream(file, { signal: controller.signal })
    const seen = recordEvents(stream, NAMES)
    if (state !== 'same tick') await next(stream, state)
    controller.abort()
    t.equal(stream.destroyed, true)
    t.match(await closing(stream), ABORTED)
    t.same(seen, ['error', 'close'], state)
    t.equal(properties(stream).fd, null)
  }
})

streamTest('an abort while data flow stops them', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const controller = new AbortController()
  const stream = createUringReadStream(file, { signal: controller.signal, highWaterMark: 1000 })
  let count = 0
  onData(stream, () => {
    if (++count === 5) controller.abort()
  })
  t.match(await closing(stream), ABORTED)
  await turns(20)
  t.equal(count, 5)
  t.equal(stream.readableEnded, false)
})

streamTest('an abort of a paused stream closes its file', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const controller = new AbortController()
  const stream = createUringReadStream(file, { signal: controller.signal, highWaterMark: 1000 })
  stream.once('data', () => stream.pause())
  await next(stream, 'pause')
  await turns(10)
  controller.abort()
  t.match(await closing(stream), ABORTED)
})

streamTest('the reason of the abort is the cause of the error', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const reason = new Error('the client has gone')
  const controller = new AbortController()
  const stream = createUringReadStream(file, { signal: controller.signal })
  controller.abort(reason)
  t.match(await closing(stream), { ...ABORTED, cause: reason })
})

streamTest('an abort makes for await reject', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const controller = new AbortController()
  const stream = createUringReadStream(file, { signal: controller.signal, highWaterMark: 1000 })
  let rounds = 0
  await t.rejects(async () => {
    for await (const chunk of stream) if (chunk && ++rounds === 3) controller.abort()
  }, ABORTED)
  t.equal(rounds, 3)
  await closing(stream)
})

streamTest('an abort after the close does nothing, and no listener stays at the signal', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const controller = new AbortController()
  const { signal } = controller
  const reader = createUringReadStream(file, { signal })
  const writer = createUringWriteStream(`${file}.copy`, { signal })
  t.ok(getEventListeners(signal, 'abort').length >= 2)
  await readAll(reader)
  await endAndClose(writer)
  await turns(1)
  t.equal(getEventListeners(signal, 'abort').length, 0)
  const seen = [...recordEvents(reader, NAMES), ...recordEvents(writer, NAMES)]
  controller.abort()
  await turns(20)
  t.same(seen, [])
  t.equal(reader.errored, null)
  t.equal(writer.errored, null)
})

streamTest('an abort of a writing stream calls back every write that waits with the error', async t => {
  for (const state of ['same tick', 'open', 'ready']) {
    const file = join(t.testdir(), 'file')
    const controller = new AbortController()
    const stream = createUringWriteStream(file, { signal: controller.signal })
    const seen = recordEvents(stream, NAMES)
    if (state !== 'same tick') await next(stream, state)
    const results = [1, 2, 3].map(() => writeOne(stream, CONTENT))
    controller.abort()
    t.match(await closing(stream), ABORTED)
    const codes = (await Promise.all(results)).map(error => error?.code ?? 'written')
    // What was on its way may have arrived, or be told that the stream was destroyed under it.
    const mayArrive = state === 'same tick' ? /^( ABORT_ERR){3}$/ : /^( written)*( ABORT_ERR| ERR_STREAM_DESTROYED)*$/
    t.match(codes.map(code => ` ${code}`).join(''), mayArrive)
    const confirmed = codes.filter(code => code === 'written').length
    const wanted = Buffer.concat(Array<Buffer>(confirmed).fill(CONTENT))
    t.ok(readFileSync(file).subarray(0, wanted.length).equals(wanted), 'what was confirmed is there')
    t.same(seen, ['error', 'close'], state)
    t.equal(properties(stream).fd, null)
  }
})

streamTest('an abort between end() and finish prevents finish', async t => {
  const controller = new AbortController()
  const stream = createUringWriteStream(join(t.testdir(), 'file'), { signal: controller.signal })
  const seen = recordEvents(stream, NAMES)
  stream.end(CONTENT)
  controller.abort()
  t.match(await closing(stream), ABORTED)
  t.same(seen, ['error', 'close'])
})

streamTest('what was written before an abort stays', async t => {
  const file = join(t.testdir(), 'file')
  const controller = new AbortController()
  const stream = createUringWriteStream(file, { signal: controller.signal })
  t.equal(await writeOne(stream, CONTENT), undefined)
  controller.abort()
  t.match(await closing(stream), ABORTED)
  t.ok(readFileSync(file).equals(CONTENT))
})

streamTest('one signal aborts many streams', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const controller = new AbortController()
  const streams = Array.from({ length: 8 }, (_, i) => i % 2
    ? createUringReadStream(file, { signal: controller.signal, highWaterMark: 1000 }).resume()
    : createUringWriteStream(`${file}.${i}`, { signal: controller.signal }))
  await Promise.all(streams.map(stream => next(stream, 'ready')))
  controller.abort()
  for (const error of await Promise.all(streams.map(closing))) t.match(error, ABORTED)
})

streamTest('addAbortSignal() does as the option does', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const controller = new AbortController()
  const stream = addAbortSignal(controller.signal, createUringReadStream(file))
  await next(stream, 'ready')
  controller.abort()
  t.match(await closing(stream), ABORTED)
})

streamTest('a signal that is never aborted changes nothing', async t => {
  const { signal } = new AbortController()
  const file = join(t.testdir(), 'file')
  const writer = createUringWriteStream(file, { signal })
  t.equal(await writeOne(writer, CONTENT), undefined)
  await endAndClose(writer)
  t.ok(existsSync(file))
  t.ok((await readAll(createUringReadStream(file, { signal }))).equals(CONTENT))
})
