import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished, Writable } from 'node:stream'
import { createUringWriteStream } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { patterned, seededFor } from '../helpers/seeded.js'
import { closing, countEvents, endAndClose, next, properties, recordEvents, turn, turns, writeOne, type StreamError } from '../helpers/stream-events.js'

type Stream = ReturnType<typeof createUringWriteStream>
const noDispose = !(Symbol.asyncDispose in Writable.prototype) && 'this Node has no Writable[Symbol.asyncDispose]'
const NAMES = ['open', 'ready', 'finish', 'error', 'close']

/** Each way to bring a stream into a state. */
const STATES: Record<string, (stream: Stream) => Promise<unknown>> = {
  'in the same tick': async () => {},
  'while it opens': () => new Promise<void>(resolve => process.nextTick(resolve)),
  'at open': stream => next(stream, 'open'),
  'at ready': stream => next(stream, 'ready'),
  'after a write': stream => writeOne(stream, 'content'),
  'while it is corked': async stream => {
    await next(stream, 'ready')
    stream.cork()
    stream.write('corked', () => {})
  },
}

for (const [state, reach] of Object.entries(STATES)) {
  streamTest(`destroy() ${state} closes the file without an error`, async t => {
    const file = join(t.testdir(), 'file')
    const stream = createUringWriteStream(file)
    const seen = recordEvents(stream, NAMES)
    await reach(stream)
    t.equal(stream.destroy(), stream)
    t.equal(stream.destroyed, true)
    t.equal(await closing(stream), undefined)
    t.same(seen, ['open', 'ready', 'close'])
    t.match(properties(stream), { fd: null, pending: true, closed: true })
    t.ok(existsSync(file))
  })

  streamTest(`destroy(error) ${state} emits the error, then closes the file`, async t => {
    const stream = createUringWriteStream(join(t.testdir(), 'file'))
    const seen = recordEvents(stream, NAMES)
    const reason = new Error('enough')
    await reach(stream)
    stream.destroy(reason)
    stream.destroy(new Error('too late'))
    t.equal(await closing(stream), reason)
    t.same(seen, ['open', 'ready', 'error', 'close'])
    t.equal(properties(stream).fd, null)
  })
}

// Node's types do not know of the callback, but its streams do, and programs use it.
for (const [reached, reach] of Object.entries(STATES).slice(0, 3)) {
  streamTest(`destroy(error, callback) ${reached} calls back with the error`, async t => {
    const stream = createUringWriteStream(join(t.testdir(), 'file'))
    await reach(stream)
    const closed = closing(stream)
    const failure = new Error('enough')
    const told = new Promise(resolve => (stream.destroy as (...args: unknown[]) => void).call(stream, failure, resolve))
    t.equal(await told, failure)
    t.equal(await closed, failure)
  })
}

streamTest('destroy() with writes that wait calls each of them back with an error, before close', async t => {
  const reason = new Error('enough')
  const content = patterned(100_000)
  for (const given of [undefined, reason]) {
    for (const state of ['in the same tick', 'at ready']) {
      const file = join(t.testdir(), 'file')
      const stream = createUringWriteStream(file)
      const seen: string[] = []
      await STATES[state](stream)
      for (let i = 0; i < 5; i++) {
        stream.write(content, error => {
          seen.push(error === reason ? 'reason' : (error as StreamError)?.code ?? 'written')
        })
      }
      stream.once('close', () => seen.push('close'))
      stream.destroy(given)
      await closing(stream)
      t.equal(seen.length, 6, `${state}, ${seen.join(' ')}`)
      t.equal(seen.at(-1), 'close')
      // What was on its way may have arrived, or be told that the stream was destroyed under it.
      const written = state === 'in the same tick' ? 0 : seen.filter(each => each === 'written').length
      for (const told of seen.slice(written, 5)) {
        t.match(told, given ? /^(reason|ERR_STREAM_DESTROYED)$/ : 'ERR_STREAM_DESTROYED')
      }
      const wanted = Buffer.concat(Array<Buffer>(written).fill(content))
      t.ok(readFileSync(file).subarray(0, wanted.length).equals(wanted), 'what was confirmed is there')
      t.equal(stream.writableFinished, false)
    }
  }
})

streamTest('end(callback) of a stream that is destroyed is called back with an error', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  const ended = new Promise<StreamError | undefined>(resolve => { stream.end('content', resolve as () => void) })
  stream.destroy()
  t.equal((await ended)?.code, 'ERR_STREAM_DESTROYED')
  await closing(stream)
})

streamTest('at any moment of destruction the file holds a prefix, with all that was called back', async t => {
  const random = seededFor(t)
  const content = patterned(1 << 20)
  const file = join(t.testdir(), 'file')
  for (let round = 0; round < 40; round++) {
    const stream = createUringWriteStream(file, { highWaterMark: random.between(1000, 100_000) })
    const step = random.between(5000, 100_000)
    const order: number[] = []
    let confirmed = 0
    let failures = 0
    let writes = 0
    for (let at = 0; at < content.length; at += step) {
      const number = writes++
      const end = Math.min(at + step, content.length)
      stream.write(content.subarray(at, end), error => {
        order.push(number)
        if (error) failures++
        else confirmed = end
      })
    }
    const closed = closing(stream)
    for (let left = random.between(0, 12); left > 0; left--) await turn()
    stream.destroy()
    // A write on its way at that moment may fail by it, and its error is then the stream's.
    t.match((await closed)?.code ?? 'none', /^(none|ERR_STREAM_DESTROYED)$/)
    const there = readFileSync(file)
    t.ok(there.equals(content.subarray(0, there.length)), `round ${round}: a prefix of ${there.length} bytes`)
    t.ok(there.length >= confirmed, 'what was called back is there')
    t.same(order, Array.from({ length: writes }, (_, i) => i), `each of ${writes} writes was called back, ${failures} with an error`)
    t.equal(properties(stream).fd, null)
  }
})

streamTest('destroy() and close() after the close change nothing', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const counts = countEvents(stream, NAMES)
  stream.write('content')
  await endAndClose(stream)
  const before = { ...counts }
  stream.destroy()
  stream.destroy(new Error('too late'))
  await new Promise<void>(resolve => stream.close(() => resolve()))
  await turns(20)
  t.same(counts, before)
  t.equal(stream.errored, null)
  t.equal(readFileSync(file, 'utf8'), 'content')
})

streamTest('destroy() after end() but before finish gives close without finish', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  const seen = recordEvents(stream, NAMES)
  stream.end(patterned(300_000))
  stream.destroy()
  t.equal(await closing(stream), undefined)
  t.same(seen, ['open', 'ready', 'close'])
})

streamTest("destroy() in a listener of 'finish' closes the file as it would close anyway", async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const seen = recordEvents(stream, NAMES)
  stream.once('finish', () => stream.destroy())
  stream.end('content')
  t.equal(await closing(stream), undefined)
  t.same(seen, ['open', 'ready', 'finish', 'close'])
  t.equal(readFileSync(file, 'utf8'), 'content')
})

streamTest('destroy() of a stream with autoClose false closes the descriptor', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { autoClose: false })
  const fd = await next<number>(stream, 'open')
  stream.destroy()
  await closing(stream)
  t.equal(isOpenOn(fd, file), false)
})

streamTest('finished() tells the finish, an early close and an error', async t => {
  const dir = t.testdir()
  const outcome = (stream: Stream) => new Promise<string>(resolve => {
    finished(stream, error => resolve((error as StreamError | undefined)?.code ?? 'no error'))
  })
  const written = createUringWriteStream(join(dir, 'file'))
  written.end('content')
  t.equal(await outcome(written), 'no error')
  const early = createUringWriteStream(join(dir, 'file'))
  const isEarly = outcome(early)
  early.destroy()
  t.equal(await isEarly, 'ERR_STREAM_PREMATURE_CLOSE')
  const missing = createUringWriteStream(join(dir, 'missing', 'file'))
  t.equal(await outcome(missing), 'ENOENT')
  await Promise.all([written, early, missing].map(closing))
})

const dispose = (stream: Stream): Promise<unknown> => (stream as unknown as AsyncDisposable)[Symbol.asyncDispose]() as Promise<unknown>

streamTest('Symbol.asyncDispose closes the stream in any state', async t => {
  const fresh = createUringWriteStream(join(t.testdir(), 'file'))
  await dispose(fresh)
  t.match(fresh, { destroyed: true, closed: true })
  const written = createUringWriteStream(join(t.testdir(), 'file'))
  await writeOne(written, 'content')
  await dispose(written)
  t.match(written, { destroyed: true, closed: true })
  const done = createUringWriteStream(join(t.testdir(), 'file'))
  await endAndClose(done)
  await dispose(done)
  t.equal(done.errored, null)
}, noDispose)

streamTest('Symbol.asyncDispose aborts what was not: a scope that was left by an error commits nothing', async t => {
  const file = join(t.testdir({ file: 'old' }), 'file')
  const stream = createUringWriteStream(file, { atomic: true })
  const seen = recordEvents(stream, NAMES)
  await writeOne(stream, 'half of it')
  await dispose(stream)
  t.same(seen, ['open', 'ready', 'error', 'close'])
  t.match(stream.errored, { code: 'ABORT_ERR' })
  t.equal(readFileSync(file, 'utf8'), 'old')
}, noDispose)

streamTest('Symbol.asyncDispose rejects with the error of the stream', async t => {
  const outcome = (stream: Stream) => dispose(stream).then(() => 'no error', (error: StreamError) => error.code)
  const missing = createUringWriteStream(join(t.testdir(), 'missing', 'file'))
  t.equal((await closing(missing))?.code, 'ENOENT')
  t.equal(await outcome(missing), 'ENOENT')
  const full = createUringWriteStream('/dev/full')
  full.end('content')
  t.equal(await outcome(full), 'ENOSPC')
}, noDispose)
