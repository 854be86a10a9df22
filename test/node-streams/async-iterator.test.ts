import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { createUringReadStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned } from '../helpers/seeded.js'
import { closing, next, properties, readAll, recordEvents, turns } from '../helpers/stream-events.js'

async function iterate(source: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

streamTest('for await gives the content, then end and close are emitted', async t => {
  const content = patterned(300_000)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 10_000 })
  const seen = recordEvents(stream, ['open', 'ready', 'end', 'error', 'close'])
  t.ok((await iterate(stream)).equals(content))
  await closing(stream)
  t.same(seen, ['open', 'ready', 'end', 'close'])
  t.match(stream, { destroyed: true, readableEnded: true, readableDidRead: true, bytesRead: content.length })
})

streamTest('an empty file gives no round of the loop', async t => {
  const stream = createUringReadStream(join(t.testdir({ file: '' }), 'file'))
  t.equal((await iterate(stream)).length, 0)
  await closing(stream)
})

streamTest('a loop that takes its time gets everything', async t => {
  const content = patterned(100_000)
  const stream = createUringReadStream(join(t.testdir({ file: content }), 'file'), { highWaterMark: 9000 })
  const chunks: Buffer[] = []
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer)
    await turns(3)
  }
  t.ok(Buffer.concat(chunks).equals(content))
  await closing(stream)
})

streamTest('break, return and throw in the loop close the file, with the events of fs', async t => {
  const file = join(t.testdir({ file: patterned(300_000) }), 'file')
  const reason = new Error('thrown in the loop')
  const leave = {
    break: async (stream: Readable) => { for await (const chunk of stream) if (chunk) break },
    return: async (stream: Readable) => {
      for await (const chunk of stream) return void chunk
      return undefined
    },
    throw: async (stream: Readable) => { for await (const chunk of stream) if (chunk) throw reason },
  }
  for (const [way, loop] of Object.entries(leave)) {
    const events = async (stream: Readable) => {
      const seen = recordEvents(stream, ['open', 'ready', 'end', 'error', 'close'])
      const closed = closing(stream)
      const thrown = await loop(stream).catch((error: unknown) => error)
      t.equal(thrown, way === 'throw' ? reason : undefined)
      const failure = await closed
      t.equal(properties(stream).fd, null)
      return { seen, failure: failure?.name }
    }
    const expected = await events(createReadStream(file, { highWaterMark: 1000 }))
    t.same(await events(createUringReadStream(file, { highWaterMark: 1000 })), expected, way)
  }
})

streamTest('errors reject the loop: a missing file, a directory, destroy(error)', async t => {
  const dir = t.testdir({ file: patterned(100_000) })
  const missing = join(dir, 'missing')
  await t.rejects(iterate(createUringReadStream(missing)), { code: 'ENOENT', path: missing })
  await t.rejects(iterate(createUringReadStream(dir)), { code: 'EISDIR' })
  const stream = createUringReadStream(join(dir, 'file'), { highWaterMark: 1000 })
  const reason = new Error('enough')
  let rounds = 0
  await t.rejects(async () => {
    for await (const chunk of stream) if (chunk && ++rounds === 3) stream.destroy(reason)
  }, reason)
  t.equal(rounds, 3)
  await closing(stream)
})

streamTest('destroy() without an error ends the loop with ERR_STREAM_PREMATURE_CLOSE', async t => {
  const file = join(t.testdir({ file: patterned(100_000) }), 'file')
  const during = createUringReadStream(file, { highWaterMark: 1000 })
  await t.rejects(async () => {
    for await (const chunk of during) if (chunk) during.destroy()
  }, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
  const before = createUringReadStream(file)
  before.destroy()
  await t.rejects(iterate(before), { code: 'ERR_STREAM_PREMATURE_CLOSE' })
  const closed = createUringReadStream(file)
  closed.destroy()
  await closing(closed)
  await t.rejects(iterate(closed), { code: 'ERR_STREAM_PREMATURE_CLOSE' })
})

streamTest('a loop over a stream that was read to its end has no rounds', async t => {
  const stream = createUringReadStream(join(t.testdir({ file: 'content' }), 'file'))
  await readAll(stream)
  t.equal((await iterate(stream)).length, 0)
})

streamTest('an encoding, set by option or later, gives strings with whole characters', async t => {
  const text = 'añ€😀'.repeat(100)
  const file = join(t.testdir({ file: text }), 'file')
  for (const way of ['option', 'setEncoding']) {
    const stream = createUringReadStream(file, { highWaterMark: 7, encoding: way === 'option' ? 'utf8' : undefined })
    if (way === 'setEncoding') stream.setEncoding('utf8')
    let got = ''
    for await (const chunk of stream) {
      t.type(chunk, 'string')
      got += chunk as string
    }
    t.equal(got, text)
    await closing(stream)
  }
})

streamTest('a loop goes on after read(n), unshift() and a paused listener', async t => {
  const content = patterned(100_000)
  const file = join(t.testdir({ file: content }), 'file')
  const peeked = createUringReadStream(file, { highWaterMark: 1000 })
  await next(peeked, 'readable')
  t.ok((peeked.read(4) as Buffer).equals(content.subarray(0, 4)))
  t.ok((await iterate(peeked)).equals(content.subarray(4)))
  const unshifted = createUringReadStream(file, { highWaterMark: 1000 })
  await next(unshifted, 'readable')
  unshifted.unshift(unshifted.read(10) as Buffer)
  t.ok((await iterate(unshifted)).equals(content))
  const paused = createUringReadStream(file, { highWaterMark: 1000 })
  const first = next<Buffer>(paused, 'data')
  paused.once('data', () => paused.pause())
  const rest = await first
  t.ok(Buffer.concat([rest, await iterate(paused)]).equals(content))
  await Promise.all([peeked, unshifted, paused].map(closing))
})

streamTest('unshift() within the loop gives the bytes in the next round', async t => {
  const content = patterned(5000)
  const stream = createUringReadStream(join(t.testdir({ file: content }), 'file'), { highWaterMark: 1000 })
  const chunks: Buffer[] = []
  for await (const value of stream) {
    const chunk = value as Buffer
    if (chunk.length > 100) {
      chunks.push(chunk.subarray(0, 100))
      stream.unshift(chunk.subarray(100))
    } else chunks.push(chunk)
  }
  t.ok(Buffer.concat(chunks).equals(content))
  await closing(stream)
})

streamTest('iterator({ destroyOnReturn: false }) leaves the rest to another consumer', async t => {
  const content = patterned(100_000)
  const stream = createUringReadStream(join(t.testdir({ file: content }), 'file'), { highWaterMark: 1000 })
  const chunks: Buffer[] = []
  for (let round = 0; round < 3; round++) {
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk as Buffer)
      break
    }
    t.equal(stream.destroyed, false)
  }
  t.equal(chunks.length, 3)
  t.ok(Buffer.concat([...chunks, await readAll(stream)]).equals(content))
})

streamTest('next() called many times before an answer gives the chunks in order', async t => {
  const content = patterned(10_000)
  const stream = createUringReadStream(join(t.testdir({ file: content }), 'file'), { highWaterMark: 1000 })
  const iterator = stream[Symbol.asyncIterator]()
  const results = await Promise.all(Array.from({ length: 12 }, () => iterator.next()))
  t.same(results.map(result => result.done), [...Array<boolean>(10).fill(false), true, true])
  t.ok(Buffer.concat(results.slice(0, 10).map(result => result.value as Buffer)).equals(content))
  t.same(await iterator.next(), { value: undefined, done: true })
  await closing(stream)
})

streamTest('return() and throw() of an iterator that was started close the file', async t => {
  const file = join(t.testdir({ file: patterned(100_000) }), 'file')
  const returned = createUringReadStream(file, { highWaterMark: 1000 })
  const iterator = returned[Symbol.asyncIterator]()
  await iterator.next()
  t.equal((await iterator.return?.())?.done, true)
  t.same(await iterator.next(), { value: undefined, done: true })
  await closing(returned)
  const thrown = createUringReadStream(file, { highWaterMark: 1000 })
  const other = thrown[Symbol.asyncIterator]()
  await other.next()
  const reason = new Error('thrown in')
  await t.rejects(other.throw?.(reason) as Promise<unknown>, reason)
  await closing(thrown)
})

streamTest('return() gives its argument back', async t => {
  const stream = createUringReadStream(join(t.testdir({ file: patterned(100_000) }), 'file'), { highWaterMark: 1000 })
  const iterator = stream[Symbol.asyncIterator]()
  await iterator.next()
  t.same(await iterator.return?.('last' as never), { value: 'last', done: true })
  await closing(stream)
})

streamTest('readline gives the lines', async t => {
  const lines = Array.from({ length: 2000 }, (_, i) => `line ${i} ä${'x'.repeat(i % 50)}`)
  const stream = createUringReadStream(join(t.testdir({ file: lines.join('\r\n') }), 'file'), { highWaterMark: 333 })
  const got: string[] = []
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) got.push(line)
  t.same(got, lines)
  await closing(stream)
})
