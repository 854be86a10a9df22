import { createWriteStream, createReadStream, readFileSync } from 'node:fs'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { PassThrough, pipeline, Writable } from 'node:stream'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, next, onData, readAll, recordEvents, turns } from '../helpers/stream-events.js'

const CONTENT = patterned(700_000)

streamTest('pipe() copies a file, from and to streams of this library and of fs', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const copies = [
    [createUringReadStream, createUringWriteStream], [createReadStream, createUringWriteStream],
    [createUringReadStream, createWriteStream],
  ] as const
  for (const [i, [reading, writing]] of copies.entries()) {
    const reader = reading(source)
    const writer = writing(`${source}.${i}`)
    t.equal(reader.pipe(writer as Writable), writer)
    t.same(await Promise.all([closing(reader), closing(writer)]), [undefined, undefined])
    t.equal(sha256(readFileSync(`${source}.${i}`)), sha256(CONTENT))
  }
})

streamTest("'pipe' and 'unpipe' are emitted with the source, once each", async t => {
  const source = join(t.testdir({ source: 'content' }), 'source')
  const reader = createUringReadStream(source)
  const writer = createUringWriteStream(`${source}.copy`)
  const seen: unknown[] = []
  writer.on('pipe', from => seen.push('pipe', from === reader))
  writer.on('unpipe', from => seen.push('unpipe', from === reader))
  reader.pipe(writer)
  await Promise.all([closing(reader), closing(writer)])
  t.same(seen, ['pipe', true, 'unpipe', true])
})

streamTest('pipe() with end false leaves the destination open for another source', async t => {
  const dir = t.testdir({ one: CONTENT, two: 'the second' })
  const writer = createUringWriteStream(join(dir, 'both'))
  for (const name of ['one', 'two']) {
    const reader = createUringReadStream(join(dir, name))
    reader.pipe(writer, { end: false })
    await closing(reader)
    await turns(20)
    t.equal(writer.writableEnded, false)
  }
  writer.end(' and the end')
  await closing(writer)
  t.equal(sha256(readFileSync(join(dir, 'both'))), sha256(Buffer.concat([CONTENT, Buffer.from('the second and the end')])))
})

streamTest('unpipe() stops, and pipe() again goes on without loss', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const reader = createUringReadStream(source, { highWaterMark: 10_000 })
  const first = createUringWriteStream(`${source}.first`)
  const second = createUringWriteStream(`${source}.second`)
  let chunks = 0
  onData(reader, () => {
    if (++chunks === 5) reader.unpipe(first)
  })
  reader.pipe(first)
  await next(first, 'unpipe')
  reader.pause()
  first.end()
  await closing(first)
  const head = readFileSync(`${source}.first`)
  t.ok(head.length > 0 && head.length < CONTENT.length)
  reader.pipe(second)
  reader.resume()
  await Promise.all([closing(reader), closing(second)])
  t.equal(sha256(Buffer.concat([head, readFileSync(`${source}.second`)])), sha256(CONTENT))
})

streamTest('one source may be piped to two destinations of different speed', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const reader = createUringReadStream(source, { highWaterMark: 10_000 })
  const fast = createUringWriteStream(`${source}.fast`)
  const received: Buffer[] = []
  const slow = new Writable({
    highWaterMark: 1000,
    write(chunk: Buffer, _encoding, callback) {
      received.push(chunk)
      setImmediate(callback)
    },
  })
  reader.pipe(fast)
  reader.pipe(slow)
  await Promise.all([closing(reader), closing(fast), closing(slow)])
  t.equal(sha256(Buffer.concat(received)), sha256(CONTENT))
  t.equal(sha256(readFileSync(`${source}.fast`)), sha256(CONTENT))
})

streamTest('a destination that asks for a pause is not written to before drain', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const reader = createUringReadStream(source, { highWaterMark: 5000 })
  let most = 0
  const slow = new Writable({
    highWaterMark: 8000,
    write(_chunk, _encoding, callback) {
      most = Math.max(most, slow.writableLength)
      setImmediate(callback)
    },
  })
  reader.pipe(slow)
  await Promise.all([closing(reader), closing(slow)])
  t.ok(most < 8000 + 5000, `at most ${most} bytes were queued`)
})

streamTest('a source that is destroyed leaves the destination of pipe() open', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const reader = createUringReadStream(source, { highWaterMark: 1000 })
  const writer = createUringWriteStream(`${source}.copy`)
  reader.pipe(writer)
  await next(reader, 'data')
  reader.destroy()
  await closing(reader)
  t.equal(writer.writableEnded, false)
  writer.end()
  await closing(writer)
  const head = readFileSync(`${source}.copy`)
  t.ok(head.equals(CONTENT.subarray(0, head.length)))
})

streamTest('a destination that fails is unpiped, and the source stays open', async t => {
  const dir = t.testdir({ source: CONTENT })
  const reader = createUringReadStream(join(dir, 'source'), { highWaterMark: 1000 })
  const writer = createUringWriteStream(join(dir, 'missing', 'copy'), { highWaterMark: 1000 })
  const seen = recordEvents(writer, ['unpipe', 'error', 'close'])
  reader.pipe(writer)
  t.equal((await closing(writer))?.code, 'ENOENT')
  t.same(seen, ['unpipe', 'error', 'close'])
  t.equal(reader.destroyed, false)
  reader.destroy()
  await closing(reader)
})

streamTest('a file goes through a duplex in between', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const reader = createUringReadStream(source)
  const writer = createUringWriteStream(`${source}.copy`)
  reader.pipe(new PassThrough({ highWaterMark: 3000 })).pipe(writer)
  await Promise.all([closing(reader), closing(writer)])
  t.equal(sha256(readFileSync(`${source}.copy`)), sha256(CONTENT))
})

streamTest('an HTTP server sends a file, receives one, and closes the file of a client that goes away', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const ends: Promise<unknown>[] = []
  const server = createServer((request, response) => {
    const endless = request.url === '/endless'
    const reader = endless ? createUringReadStream('/dev/zero') : createUringReadStream(source)
    ends.push(closing(reader))
    pipeline(reader, response, () => {})
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const request = (path: string) => new Promise<IncomingMessage>(resolve => {
    get({ port, host: '127.0.0.1', path, agent: false }, resolve)
  })
  t.equal(sha256(await readAll(await request('/'))), sha256(CONTENT))
  const download = createUringWriteStream(`${source}.download`)
  ;(await request('/')).pipe(download)
  await closing(download)
  t.equal(sha256(readFileSync(`${source}.download`)), sha256(CONTENT))
  const abandoned = await request('/endless')
  await next(abandoned, 'readable')
  abandoned.destroy()
  await Promise.all(ends)
  t.equal(ends.length, 3)
  await new Promise(resolve => server.close(resolve))
})
