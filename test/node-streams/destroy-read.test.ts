import { join } from 'node:path'
import { finished } from 'node:stream'
import { createUringReadStream } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { patterned } from '../helpers/seeded.js'
import { closing, countEvents, next, onData, properties, readAll, recordEvents, turns, type StreamError } from '../helpers/stream-events.js'

type Stream = ReturnType<typeof createUringReadStream>
const NAMES = ['open', 'ready', 'data', 'end', 'error', 'close']
const OPTIONS = { highWaterMark: 1000 }
const CONTENT = patterned(300_000)

/** Each way to bring a stream into a state, and the events up to 'close' if it is destroyed there. */
const STATES: Record<string, { reach: (stream: Stream) => Promise<unknown>, events: string[] }> = {
  'in the same tick': { reach: async () => {}, events: ['open', 'ready', 'close'] },
  'while it opens': { reach: () => new Promise<void>(resolve => process.nextTick(resolve)), events: ['open', 'ready', 'close'] },
  'at open': { reach: stream => next(stream, 'open'), events: ['open', 'ready', 'close'] },
  'at ready': { reach: stream => next(stream, 'ready'), events: ['open', 'ready', 'close'] },
  'when there is something to read': {
    reach: stream => next(stream, 'readable'), events: ['open', 'ready', 'close'],
  },
  'while data flow': {
    reach: async stream => {
      stream.on('data', () => {})
      await next(stream, 'data')
    },
    events: ['open', 'ready', 'data', 'close'],
  },
  'while it is paused': {
    reach: async stream => {
      stream.once('data', () => stream.pause())
      await next(stream, 'pause')
      await turns(10)
    },
    events: ['open', 'ready', 'data', 'close'],
  },
}

for (const [state, { reach, events }] of Object.entries(STATES)) {
  streamTest(`destroy() ${state} closes the file without an error`, async t => {
    const file = join(t.testdir({ file: CONTENT }), 'file')
    const stream = createUringReadStream(file, OPTIONS)
    const seen = recordEvents(stream, ['open', 'ready', 'end', 'error', 'close'])
    await reach(stream)
    t.equal(stream.destroy(), stream)
    t.equal(stream.destroyed, true)
    t.equal(await closing(stream), undefined)
    t.same(seen, events.filter(name => name !== 'data'))
    t.match(properties(stream), { fd: null, pending: true, closed: true })
  })

  streamTest(`destroy(error) ${state} emits the error, then closes the file`, async t => {
    const file = join(t.testdir({ file: CONTENT }), 'file')
    const stream = createUringReadStream(file, OPTIONS)
    const seen = recordEvents(stream, ['open', 'ready', 'end', 'error', 'close'])
    const reason = new Error('enough')
    await reach(stream)
    stream.destroy(reason)
    stream.destroy(new Error('too late'))
    t.equal(await closing(stream), reason)
    t.same(seen, [...events.filter(name => name !== 'data' && name !== 'close'), 'error', 'close'])
    t.equal(properties(stream).fd, null)
  })

  streamTest(`close(callback) ${state} closes the file, then calls back`, async t => {
    const file = join(t.testdir({ file: CONTENT }), 'file')
    const stream = createUringReadStream(file, OPTIONS)
    await reach(stream)
    const fd = properties(stream).fd
    const states: boolean[] = []
    const calls = await Promise.all([1, 2].map(() => new Promise<StreamError | null | undefined>(resolve => {
      stream.close(error => {
        states.push(stream.closed)
        resolve(error)
      })
    })))
    t.same(calls.map(error => error?.code), ['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_PREMATURE_CLOSE'])
    t.same(states, [true, true])
    if (fd !== null) t.equal(isOpenOn(fd, file), false)
    t.equal(properties(stream).fd, null)
  })
}

streamTest('no data come after destroy(), not even what was read already', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const stream = createUringReadStream(file, OPTIONS)
  let count = 0
  onData(stream, () => {
    if (++count === 3) stream.destroy()
  })
  const seen = recordEvents(stream, NAMES)
  await closing(stream)
  await turns(20)
  t.equal(count, 3)
  t.same(seen, ['open', 'ready', 'data', 'close'])
  t.equal(stream.read(), null)
})

streamTest('destroy() and close() after the end change nothing', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  const counts = countEvents(stream, NAMES)
  await readAll(stream)
  const before = { ...counts }
  stream.destroy()
  stream.destroy(new Error('too late'))
  const given = await new Promise<unknown[]>(resolve => stream.close((...all: unknown[]) => resolve(all)))
  t.equal(given[0] ?? undefined, undefined)
  await turns(20)
  t.same(counts, before)
  t.equal(stream.errored, null)
})

streamTest("destroy() in a listener of 'end' closes the file as it would close anyway", async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  const seen = recordEvents(stream, NAMES)
  stream.once('end', () => stream.destroy())
  t.equal(await closing(stream), undefined)
  t.same(seen, ['open', 'ready', 'data', 'end', 'close'])
})

streamTest('close() after the end calls back without an error', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  stream.resume()
  const given = await new Promise<unknown>(resolve => {
    stream.once('end', () => stream.close(resolve))
  })
  t.equal(given ?? undefined, undefined)
  await closing(stream)
})

streamTest('destroy(error) before the file is found to be missing tells one error', async t => {
  const stream = createUringReadStream(join(t.testdir(), 'missing'))
  const counts = countEvents(stream, NAMES)
  stream.destroy(new Error('enough'))
  t.ok(await closing(stream))
  await turns(20)
  t.same(counts, { open: 0, ready: 0, data: 0, end: 0, error: 1, close: 1 })
})

// Node's types do not know of the callback, but its streams do, and programs use it.
for (const [reached, state] of Object.entries(STATES).slice(0, 3)) {
  streamTest(`destroy(error, callback) ${reached} calls back with the error`, async t => {
    const stream = createUringReadStream(join(t.testdir({ file: CONTENT }), 'file'), OPTIONS)
    await state.reach(stream)
    const closed = closing(stream)
    const failure = new Error('enough')
    const told = new Promise(resolve => (stream.destroy as (...args: unknown[]) => void).call(stream, failure, resolve))
    t.equal(await told, failure)
    t.equal(await closed, failure)
  })
}

streamTest('destroy() of a stream with autoClose false closes the descriptor', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const stream = createUringReadStream(file, { ...OPTIONS, autoClose: false })
  const fd = await next<number>(stream, 'open')
  stream.destroy()
  await closing(stream)
  t.equal(isOpenOn(fd, file), false)
})

streamTest('destroy() with emitClose false closes the descriptor without the event', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const stream = createUringReadStream(file, { ...OPTIONS, emitClose: false })
  const counts = countEvents(stream, ['close'])
  const fd = await next<number>(stream, 'open')
  stream.destroy()
  while (!stream.closed) await turns(1)
  await turns(20)
  t.equal(isOpenOn(fd, file), false)
  t.equal(counts.close, 0)
})

streamTest('finished() tells the end, an early close and an error', async t => {
  const dir = t.testdir({ file: CONTENT })
  const outcome = (stream: Stream) => new Promise<string>(resolve => {
    finished(stream, error => resolve((error as StreamError | undefined)?.code ?? 'no error'))
  })
  const read = createUringReadStream(join(dir, 'file'))
  const ends = outcome(read)
  read.resume()
  t.equal(await ends, 'no error')
  const early = createUringReadStream(join(dir, 'file'))
  const isEarly = outcome(early)
  early.destroy()
  t.equal(await isEarly, 'ERR_STREAM_PREMATURE_CLOSE')
  const missing = createUringReadStream(join(dir, 'missing'))
  t.equal(await outcome(missing), 'ENOENT')
  await Promise.all([read, early, missing].map(closing))
})

streamTest('a hundred streams destroyed at once close all their files', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const streams = Array.from({ length: 100 }, () => createUringReadStream(file, OPTIONS))
  streams.forEach((stream, i) => {
    if (i % 3 === 0) stream.destroy()
    else if (i % 3 === 1) stream.once('open', () => stream.destroy())
    else stream.once('data', () => stream.destroy())
  })
  t.same(await Promise.all(streams.map(closing)), Array(100).fill(undefined))
})
