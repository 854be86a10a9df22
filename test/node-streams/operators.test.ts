import { once, on } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrored, isReadable, Readable, Writable } from 'node:stream'
import * as consumers from 'node:stream/consumers'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

const CONTENT = patterned(100_000)
const OPTIONS = { highWaterMark: 1000 }

streamTest('map, filter, drop, take, flatMap, reduce and the like work on the chunks', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const streams: Readable[] = []
  const make = () => {
    streams.push(createUringReadStream(file, OPTIONS))
    return streams.at(-1) as Readable
  }
  const chunks = (await make().toArray()) as Buffer[]
  t.equal(sha256(Buffer.concat(chunks)), sha256(CONTENT))
  t.equal(await make().map((chunk: Buffer) => chunk.length).reduce((sum: number, n: number) => sum + n, 0), CONTENT.length)
  const some = (await make().drop(3).take(2).toArray()) as Buffer[]
  t.ok(Buffer.concat(some).equals(CONTENT.subarray(3000, 5000)))
  const first = (await make().take(1).toArray()) as Buffer[]
  t.ok(Buffer.concat(first).equals(CONTENT.subarray(0, 1000)))
  t.equal(await make().some((chunk: Buffer) => chunk.equals(CONTENT.subarray(5000, 6000))), true)
  t.equal(await make().every((chunk: Buffer) => chunk.length === 1000), true)
  const bytes = (await make().flatMap((chunk: Buffer) => [chunk[0], chunk[1]]).take(4).toArray()) as number[]
  t.same(bytes, [CONTENT[0], CONTENT[1], CONTENT[1000], CONTENT[1001]])
  let length = 0
  await make().filter((chunk: Buffer) => chunk[0] < 128).forEach((chunk: Buffer) => { length += chunk.length })
  t.equal(length, chunks.filter(chunk => chunk[0] < 128).length * 1000)
  await Promise.all(streams.map(closing))
})

streamTest('an operator of a stream that fails rejects', async t => {
  await t.rejects(createUringReadStream(join(t.testdir(), 'missing')).toArray(), { code: 'ENOENT' })
  const stream = createUringReadStream(t.testdir())
  await t.rejects(stream.map((chunk: Buffer) => chunk).toArray(), { code: 'EISDIR' })
  await closing(stream)
})

streamTest('the consumers of node:stream/consumers take a stream', async t => {
  const dir = t.testdir({ json: '{"a":["ä","€"]}', bytes: CONTENT })
  const streams: Readable[] = []
  const make = (name: string) => {
    streams.push(createUringReadStream(join(dir, name), { highWaterMark: 7001 }))
    return streams.at(-1) as Readable
  }
  t.ok((await consumers.buffer(make('bytes'))).equals(CONTENT))
  t.equal(sha256(new Uint8Array(await consumers.arrayBuffer(make('bytes')))), sha256(CONTENT))
  t.equal(sha256(Buffer.from(await (await consumers.blob(make('bytes'))).arrayBuffer())), sha256(CONTENT))
  t.equal(await consumers.text(make('json')), '{"a":["ä","€"]}')
  t.same(await consumers.json(make('json')), { a: ['ä', '€'] })
  await Promise.all(streams.map(closing))
})

streamTest('Readable.toWeb() gives the bytes, as a body too', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 7001 })
  const closed = closing(stream)
  const chunks: Uint8Array[] = []
  for await (const chunk of Readable.toWeb(stream)) chunks.push(chunk as Uint8Array)
  t.equal(sha256(Buffer.concat(chunks)), sha256(CONTENT))
  t.equal(await closed, undefined)
  const body = createUringReadStream(file)
  const bodyClosed = closing(body)
  const response = new Response(Readable.toWeb(body) as ReadableStream)
  t.equal(sha256(new Uint8Array(await response.arrayBuffer())), sha256(CONTENT))
  await bodyClosed
})

streamTest('cancel() of a stream made by Readable.toWeb() closes the file', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const stream = createUringReadStream(file, OPTIONS)
  const closed = closing(stream)
  const reader = Readable.toWeb(stream).getReader()
  const { value } = await reader.read()
  t.ok(Buffer.from(value as Uint8Array).equals(CONTENT.subarray(0, 1000)))
  await reader.cancel()
  await closed
  t.match(stream, { destroyed: true, closed: true })
})

streamTest('an error goes through Readable.toWeb()', async t => {
  const stream = createUringReadStream(join(t.testdir(), 'missing'))
  const closed = closing(stream)
  await t.rejects(Readable.toWeb(stream).getReader().read(), { code: 'ENOENT' })
  await closed
})

streamTest('Writable.toWeb() writes, closes and aborts', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, OPTIONS)
  const closed = closing(stream)
  const writer = Writable.toWeb(stream).getWriter()
  for (let at = 0; at < CONTENT.length; at += 3001) {
    await writer.ready
    void writer.write(CONTENT.subarray(at, at + 3001))
  }
  await writer.close()
  t.equal(sha256(readFileSync(file)), sha256(CONTENT))
  await closed
  const aborted = createUringWriteStream(file)
  const abortedClosed = closing(aborted)
  const other = Writable.toWeb(aborted).getWriter()
  other.closed.catch(() => {})
  await other.write(new Uint8Array(10))
  await other.abort(new Error('enough'))
  t.ok(await abortedClosed)
})

streamTest('events.once() and events.on() work, with rejection on error', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const stream = createUringReadStream(file, OPTIONS)
  const [fd] = await once(stream, 'open') as [number]
  t.type(fd, 'number')
  const chunks: Buffer[] = []
  for await (const [chunk] of on(stream, 'data', { close: ['end'] } as object)) chunks.push(chunk as Buffer)
  t.equal(sha256(Buffer.concat(chunks)), sha256(CONTENT))
  await closing(stream)
  await t.rejects(once(createUringReadStream(`${file}.missing`), 'open'), { code: 'ENOENT' })
})

streamTest('isReadable() and isErrored() tell the state', async t => {
  const dir = t.testdir({ file: 'content' })
  const stream = createUringReadStream(join(dir, 'file'))
  t.same([isReadable(stream), isErrored(stream)], [true, false])
  stream.resume()
  await closing(stream)
  t.same([isReadable(stream), isErrored(stream)], [false, false])
  const missing = createUringReadStream(join(dir, 'missing'))
  await closing(missing)
  t.same([isReadable(missing), isErrored(missing)], [false, true])
})

streamTest('wrap() and Readable.from() take a stream', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const stream = createUringReadStream(file, OPTIONS)
  const from = Readable.from(stream)
  t.equal(sha256(Buffer.concat((await from.toArray()) as Buffer[])), sha256(CONTENT))
  await closing(stream)
  const wrapped = createUringReadStream(file, OPTIONS)
  const around = new Readable().wrap(wrapped)
  t.equal(sha256(Buffer.concat((await around.toArray()) as Buffer[])), sha256(CONTENT))
  await closing(wrapped)
})

streamTest('listeners do not pile up with the number of chunks', async t => {
  const file = join(t.testdir({ file: CONTENT }), 'file')
  const reader = createUringReadStream(file, OPTIONS)
  const writer = createUringWriteStream(`${file}.copy`, OPTIONS)
  const listeners = (stream: Readable | Writable) =>
    stream.eventNames().reduce((sum, name) => sum + stream.listenerCount(name), 0)
  const counts: number[] = []
  reader.pipe(writer)
  reader.on('data', () => counts.push(listeners(reader) + listeners(writer)))
  await Promise.all([closing(reader), closing(writer)])
  t.ok(counts.length >= 100)
  t.ok(Math.max(...counts.slice(10)) <= Math.max(...counts.slice(0, 10)), `at most ${Math.max(...counts)}`)
})
