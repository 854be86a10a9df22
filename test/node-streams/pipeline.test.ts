import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Transform, Writable, type Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { createHash } from 'node:crypto'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { notLinux, streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, next, onData, turns } from '../helpers/stream-events.js'

const CONTENT = patterned(700_000)

streamTest('pipeline() copies a file and is done when the copy is complete', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const [reader, writer] = [createUringReadStream(source), createUringWriteStream(`${source}.copy`)]
  await pipeline(reader, writer)
  t.equal(sha256(readFileSync(`${source}.copy`)), sha256(CONTENT))
  t.equal(writer.bytesWritten, CONTENT.length)
  await Promise.all([closing(reader), closing(writer)])
})

streamTest('a file is compressed and unpacked again', async t => {
  const source = join(t.testdir(), 'source')
  writeFileSync(source, 'compressible '.repeat(50_000))
  const streams = [
    createUringReadStream(source), createUringWriteStream(`${source}.gz`),
  ] as const
  await pipeline(streams[0], createGzip(), streams[1])
  const unpacked = [createUringReadStream(`${source}.gz`), createUringWriteStream(`${source}.copy`)] as const
  await pipeline(unpacked[0], createGunzip(), unpacked[1])
  t.ok(readFileSync(`${source}.copy`).equals(readFileSync(source)))
  t.ok(readFileSync(`${source}.gz`).length < 50_000)
  await Promise.all([...streams, ...unpacked].map(closing))
})

streamTest('async generators may stand between, at the start and at the end', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const reader = createUringReadStream(source, { highWaterMark: 10_000 })
  const writer = createUringWriteStream(`${source}.copy`)
  await pipeline(reader, async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) yield Buffer.from(chunk.map(byte => byte ^ 0xff))
  }, writer)
  t.equal(sha256(readFileSync(`${source}.copy`)), sha256(Buffer.from(CONTENT.map(byte => byte ^ 0xff))))
  const made = createUringWriteStream(`${source}.made`)
  await pipeline(async function* () {
    for (let i = 0; i < 100; i++) yield `line ${i}\n`
  }, made)
  t.equal(readFileSync(`${source}.made`, 'utf8'), Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join(''))
  const hashed = createUringReadStream(source)
  const sum = await pipeline(hashed, async (chunks: AsyncIterable<Buffer>) => {
    const hash = createHash('sha256')
    for await (const chunk of chunks) hash.update(chunk)
    return hash.digest('hex')
  })
  t.equal(sum, sha256(CONTENT))
  await Promise.all([reader, writer, made, hashed].map(closing))
})

streamTest('a file is piped into a hash', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const hash = createHash('sha256')
  const reader = createUringReadStream(source)
  await pipeline(reader, hash)
  t.equal(hash.digest('hex'), sha256(CONTENT))
  await closing(reader)
})

streamTest('an error anywhere rejects the pipeline and closes both files', async t => {
  const dir = t.testdir({ source: CONTENT })
  const reason = new Error('in the middle')
  const cases: [string, string, Transform | undefined, Error | { code: string, path?: string }][] = [
    ['missing', 'copy', undefined, { code: 'ENOENT', path: join(dir, 'missing') }],
    ['', 'copy', undefined, { code: 'EISDIR' }],
    ['source', 'no/such', undefined, { code: 'ENOENT', path: join(dir, 'no/such') }],
    ['source', 'copy', new Transform({ transform: (_chunk, _encoding, callback) => callback(reason) }), reason],
  ]
  for (const [from, to, transform, error] of cases) {
    const reader = createUringReadStream(join(dir, from), { highWaterMark: 1000 })
    const writer = createUringWriteStream(join(dir, to))
    const closed = Promise.all([closing(reader), closing(writer)])
    const streams = [reader, transform, writer].filter(stream => stream !== undefined)
    await t.rejects(pipeline(streams as unknown as [Readable, Writable]), error)
    await closed
    t.match([reader, writer], [{ destroyed: true, closed: true }, { destroyed: true, closed: true }])
  }
})

streamTest('a full disk rejects the pipeline and closes the source', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const [reader, writer] = [createUringReadStream(source), createUringWriteStream('/dev/full')]
  const closed = Promise.all([closing(reader), closing(writer)])
  await t.rejects(pipeline(reader, writer), { code: 'ENOSPC', syscall: 'write' })
  await closed
}, notLinux)

streamTest('destroying either end rejects the pipeline and closes the other', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const reason = new Error('enough')
  for (const which of ['reader', 'writer'] as const) {
    for (const given of [reason, undefined]) {
      const small = { highWaterMark: 1000 }
      const streams = { reader: createUringReadStream(source, small), writer: createUringWriteStream(`${source}.copy`, small) }
      const closed = Promise.all([closing(streams.reader), closing(streams.writer)])
      const done = pipeline(streams.reader, streams.writer)
      const failed = done.then(() => undefined, (error: NodeJS.ErrnoException) => error)
      await Promise.all([next(streams.reader, 'data'), next(streams.writer, 'ready')])
      streams[which].destroy(given)
      const error = await failed
      // A write on its way at that moment may fail by the destruction: then that is the error.
      if (given) t.equal(error, given)
      else t.match(error?.code, /^ERR_STREAM_(PREMATURE_CLOSE|DESTROYED)$/)
      await closed
    }
  }
})

streamTest('a signal aborts a pipeline and closes both files', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const controller = new AbortController()
  const reader = createUringReadStream(source, { highWaterMark: 1000 })
  const writer = createUringWriteStream(`${source}.copy`)
  const closed = Promise.all([closing(reader), closing(writer)])
  onData(reader, () => controller.abort())
  await t.rejects(pipeline(reader, writer, { signal: controller.signal }), { code: 'ABORT_ERR' })
  await closed
})

streamTest('a pipeline with end false leaves the destination open', async t => {
  const dir = t.testdir({ one: CONTENT, two: 'the second' })
  const writer = createUringWriteStream(join(dir, 'both'))
  const readers = [createUringReadStream(join(dir, 'one')), createUringReadStream(join(dir, 'two'))]
  for (const reader of readers) await pipeline(reader, writer, { end: false })
  await turns(20)
  t.equal(writer.writableEnded, false)
  writer.end()
  await Promise.all([writer, ...readers].map(closing))
  t.equal(sha256(readFileSync(join(dir, 'both'))), sha256(Buffer.concat([CONTENT, Buffer.from('the second')])))
})

streamTest('the promise of finished() tells the end and the error', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const reader = createUringReadStream(source)
  const done = finished(reader)
  reader.resume()
  t.equal(await done, undefined)
  const writer = createUringWriteStream(`${source}.copy`)
  writer.end(CONTENT)
  t.equal(await finished(writer), undefined)
  t.equal(sha256(readFileSync(`${source}.copy`)), sha256(CONTENT))
  const missing = createUringReadStream(`${source}.missing`)
  await t.rejects(finished(missing), { code: 'ENOENT' })
  const early = createUringReadStream(source)
  early.destroy()
  await t.rejects(finished(early), { code: 'ERR_STREAM_PREMATURE_CLOSE' })
  await Promise.all([reader, writer, missing, early].map(closing))
})

streamTest('twenty pipelines at once copy their files', async t => {
  const source = join(t.testdir({ source: CONTENT }), 'source')
  const ends: Promise<unknown>[] = []
  await Promise.all(Array.from({ length: 20 }, (_, i) => {
    const reader = createUringReadStream(source, { start: i * 100, highWaterMark: 20_000 + i })
    const writer = createUringWriteStream(`${source}.${i}`)
    ends.push(closing(reader), closing(writer))
    return pipeline(reader, writer)
  }))
  await Promise.all(ends)
  for (let i = 0; i < 20; i++) t.equal(sha256(readFileSync(`${source}.${i}`)), sha256(CONTENT.subarray(i * 100)))
})
