import { createWriteStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUringWriteStream } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, countEvents, next, properties, recordEvents, turns, writeOne } from '../helpers/stream-events.js'

const NAMES = ['open', 'ready', 'finish', 'error', 'close']

streamTest('the order is open, ready, finish, close', async t => {
  for (const content of ['', 'content', patterned(1 << 20)]) {
    const stream = createUringWriteStream(join(t.testdir(), 'file'))
    const seen = recordEvents(stream, NAMES)
    stream.end(content)
    await closing(stream)
    t.same(seen, ['open', 'ready', 'finish', 'close'])
  }
})

streamTest('a file that cannot be made gives error, close', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'missing', 'file'))
  const seen = recordEvents(stream, NAMES)
  stream.end('content')
  t.equal((await closing(stream))?.code, 'ENOENT')
  t.same(seen, ['error', 'close'])
})

streamTest('each event comes once', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  const counts = countEvents(stream, [...NAMES, 'prefinish'])
  stream.end('content')
  stream.close()
  await closing(stream)
  stream.destroy()
  stream.close()
  await turns(20)
  t.same(counts, { open: 1, ready: 1, finish: 1, error: 0, close: 1, prefinish: 1 })
})

streamTest('the file is made although nothing is written', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const seen = recordEvents(stream, NAMES)
  const fd = await next<number>(stream, 'open')
  t.ok(isOpenOn(fd, file))
  await turns(20)
  t.same(seen, ['open', 'ready'])
  stream.end()
  await closing(stream)
})

streamTest("what was written before 'open' is kept, in order", async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const content = patterned(500_000)
  for (let at = 0; at < content.length; at += 9973) stream.write(content.subarray(at, at + 9973))
  t.equal(stream.pending, true)
  stream.end()
  await closing(stream)
  t.equal(sha256(readFileSync(file)), sha256(content))
})

streamTest("'finish' and the callback of end() come when all bytes are in the file", async t => {
  const content = patterned(700_000)
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const seen: string[] = []
  const look = (name: string) => {
    seen.push(`${name} ${sha256(readFileSync(file)) === sha256(content) ? 'complete' : 'incomplete'}`)
  }
  stream.once('finish', () => look('finish'))
  stream.write(content.subarray(0, 300_000))
  stream.end(content.subarray(300_000), () => look('end'))
  await closing(stream)
  t.same(seen.sort(), ['end complete', 'finish complete'])
})

streamTest('end() takes a chunk, an encoding and a callback', async t => {
  const file = join(t.testdir(), 'file')
  const forms: [unknown[], string][] = [
    [[], ''], [['chunk'], 'chunk'], [['4142', 'hex'], 'AB'], [[Buffer.from('bytes')], 'bytes'], [[new Uint8Array([65])], 'A'],
    [[null], ''], [[undefined], ''],
  ]
  for (const [given, wanted] of forms) {
    const stream = createUringWriteStream(file)
    const called = new Promise<unknown>(resolve => {
      const end = stream.end.bind(stream) as (...all: unknown[]) => unknown
      t.equal(end(...given, resolve), stream)
    })
    t.equal((await called) ?? undefined, undefined)
    await closing(stream)
    t.equal(readFileSync(file, 'latin1'), wanted)
  }
})

streamTest("'close' comes when the descriptor is closed", async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  let openAtFinish: boolean | undefined
  let openAtClose: boolean | undefined
  const fd = await next<number>(stream, 'open')
  stream.once('finish', () => { openAtFinish = isOpenOn(fd, file) })
  stream.once('close', () => { openAtClose = isOpenOn(fd, file) })
  stream.end('content')
  await closing(stream)
  t.equal(openAtFinish, true)
  t.equal(openAtClose, false)
})

streamTest('close() writes what was queued, and calls every callback when the stream has closed', async t => {
  const content = patterned(300_000)
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  stream.write(content)
  const calls: string[] = []
  const called = ['first', 'second'].map(name => new Promise<void>(resolve => {
    stream.close(() => {
      calls.push(`${name} ${String(stream.closed)} ${String(properties(stream).fd)}`)
      resolve()
    })
  }))
  t.equal(stream.destroyed, false, 'close() does not destroy')
  await Promise.all(called)
  t.same(calls, ['first true null', 'second true null'])
  t.ok(readFileSync(file).equals(content))
  const seen: string[] = []
  const late = new Promise<void>(resolve => stream.close(() => {
    seen.push('called')
    resolve()
  }))
  seen.push('after the call')
  await late
  t.same(seen, ['after the call', 'called'], 'close() of a closed stream calls back later')
})

streamTest('close() before the file is open makes it, and closes', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const seen = recordEvents(stream, NAMES)
  stream.close()
  await closing(stream)
  t.same(seen, ['open', 'ready', 'finish', 'close'])
  t.equal(readFileSync(file, 'utf8'), '')
})

streamTest('destroySoon() is end()', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  stream.write('con')
  const destroySoon = (stream as unknown as { destroySoon(chunk: string): void }).destroySoon.bind(stream)
  destroySoon('tent')
  await closing(stream)
  t.equal(readFileSync(file, 'utf8'), 'content')
})

streamTest("'drain' comes once for each time that write() returned false", async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { highWaterMark: 1000 })
  const counts = countEvents(stream, ['drain'])
  for (let i = 1; i <= 20; i++) {
    t.equal(stream.write(patterned(600, i)), true)
    t.equal(stream.write(patterned(600, i)), false)
    await next(stream, 'drain')
    t.equal(counts.drain, i)
  }
  t.equal(await writeOne(stream, 'short'), undefined)
  await turns(20)
  t.equal(counts.drain, 20)
  stream.end()
  await closing(stream)
})

streamTest("'drain' comes before the callback of the write that it waited for, as with fs", async t => {
  for (const create of [createWriteStream, createUringWriteStream]) {
    const stream = create(join(t.testdir(), 'file'), { highWaterMark: 1000 })
    for (const size of [1000, 500_000]) {
      const seen = recordEvents(stream, ['drain'])
      await new Promise<void>(resolve => {
        t.equal(stream.write(patterned(size), () => {
          seen.push('written')
          resolve()
        }), false)
      })
      t.same(seen, ['drain', 'written'], `${create.name}, ${size} bytes`)
    }
    stream.end()
    await closing(stream)
  }
})

streamTest('a stream that is corked after its end finishes when it is uncorked', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  stream.write(patterned(2080))
  stream.end()
  stream.once('open', () => {
    stream.cork()
    setImmediate(() => stream.uncork())
  })
  await next(stream, 'close')
  t.ok(stream.writableFinished)
  t.same(readFileSync(file), patterned(2080))
})

streamTest("who closes in the callback of end() leaves those behind 'finish' an open stream", async t => {
  const seen: object[] = []
  for (const make of [createWriteStream, createUringWriteStream]) {
    const stream = make(join(t.testdir(), 'file'), { autoClose: false } as object)
    stream.on('finish', () => seen.push({ destroyed: stream.destroyed, open: (stream as { fd?: unknown }).fd !== null }))
    stream.end('x', () => stream.close())
    await next(stream, 'close')
  }
  t.same(seen[1], seen[0])
})
