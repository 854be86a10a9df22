import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Readable, Writable } from 'streamx'
import { open, Ring } from '../../lib/index.js'
import { createUringReadStream, UringReadStream } from '../../lib/streamx.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { seededFor, sha256 } from '../helpers/seeded.js'
import { thrown, turns, until } from '../helpers/stream-events.js'
import { fileAndTarget, rejection } from '../helpers/web-streams.js'

const chunkSize = 8192

/** Waits for 'close'; gives the error that was emitted before it. */
function closing(stream: UringReadStream): Promise<any> {
  let failure: unknown
  stream.on('error', error => { failure = error })
  return new Promise(resolve => stream.on('close', () => resolve(failure)))
}

async function dataOf(stream: UringReadStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', chunk => { chunks.push(Buffer.from(chunk as Buffer)) })
  const failure = await closing(stream)
  if (failure !== undefined) throw failure
  return Buffer.concat(chunks)
}

ringTest('it is a streamx Readable whose chunks are the file', async t => {
  const { file } = fileAndTarget(t, 3_000_001)
  const stream = createUringReadStream(file.path)
  t.ok(stream instanceof UringReadStream && stream instanceof Readable)
  const ended = new Promise(resolve => stream.on('end', () => resolve('end')))
  t.equal(sha256(await dataOf(stream)), file.sha256)
  t.equal(await ended, 'end')
  t.equal(stream.bytesRead, 3_000_001)
  t.equal(stream.path, file.path)
})

ringTest('ranges, chunk sizes and depths read the bytes that they say, leased and owned', async t => {
  const { file } = fileAndTarget(t, 300_000)
  const random = seededFor(t)
  for (let round = 0; round < 30; round++) {
    const start = random.between(0, 300_000)
    const end = start + random.between(0, 300_000)
    const buffers = random.pick(['owned', 'leased'] as const)
    const options = { start, end, buffers, chunkSize: random.pick([1000, 65_536]), readAhead: random.pick([1, 4]) }
    if (!(await dataOf(createUringReadStream(file.path, options))).equals(file.content.subarray(start, end + 1))) {
      t.fail(JSON.stringify(options))
    }
  }
})

ringTest('owned chunks stay what they are', async t => {
  const { file } = fileAndTarget(t, 20 * chunkSize)
  const kept: Buffer[] = []
  for await (const chunk of createUringReadStream(file.path, { chunkSize })) kept.push(chunk as Buffer)
  t.equal(kept.length, 20)
  t.equal(sha256(Buffer.concat(kept)), file.sha256)
})

/** Chunks and views of them, kept; those that are over must show nothing. */
class Kept {
  readonly hash = createHash('sha256')
  readonly views: Uint8Array[][] = []

  add(t: Test, chunk: Buffer): void {
    this.assertOver(t)
    this.hash.update(chunk)
    this.views.push([chunk, chunk.subarray(1), new Uint8Array(chunk.buffer)])
  }

  assertOver(t: Test): void {
    const seen = this.views.flat().filter(({ byteLength }) => byteLength > 0)
    if (seen.length > 0) t.fail(`${seen.length} views of ${this.views.length} chunks still show bytes`)
  }
}

for (const [how, read] of [
  ['data', async (stream, take) => {
    stream.on('data', chunk => take(chunk as Buffer))
    await closing(stream)
  }],
  ['for await', async (stream, take) => {
    for await (const chunk of stream) {
      take(chunk as Buffer)
      await turns(1)
      if ((chunk as Buffer).length === 0) throw new Error('the last chunk was detached')
    }
  }],
  ['readable and read()', async (stream, take) => {
    stream.on('readable', () => {
      for (let chunk; (chunk = stream.read()) !== null;) take(chunk)
    })
    stream.read()
    await closing(stream)
  }]
] as [string, (stream: UringReadStream, take: (chunk: Buffer) => void) => Promise<void>][]) {
  ringTest(`a leased chunk has length 0 when the next is delivered, the last one after the close (${how})`, async t => {
    const { file } = fileAndTarget(t, 40 * chunkSize + 77)
    const kept = new Kept()
    await read(createUringReadStream(file.path, { buffers: 'leased', chunkSize }), chunk => kept.add(t, chunk))
    await turns(2)
    kept.assertOver(t)
    t.equal(kept.hash.digest('hex'), file.sha256)
    t.ok(kept.views.length > 40)
  })
}

ringTest('a consumer that pauses keeps the chunk that it has until the next, or the end', async t => {
  const { file } = fileAndTarget(t, 20 * chunkSize)
  const stream = createUringReadStream(file.path, { buffers: 'leased', chunkSize })
  const seen: string[] = []
  stream.on('data', chunk => {
    stream.pause()
    setImmediate(() => {
      seen.push(sha256(chunk as Buffer))
      stream.resume()
    })
  })
  await until(() => stream.destroyed && seen.length === 20)
  const wanted = Array.from({ length: 20 }, (_, i) => sha256(file.content.subarray(i * chunkSize, (i + 1) * chunkSize)))
  t.same(seen.slice(0, -1), wanted.slice(0, -1))
})

/** Ways to go on after chunks that were taken by `read`: none may leave the end waiting for another `read`. */
for (const [how, goOn] of [
  ['one read for each readable', stream => stream.on('readable', () => stream.read())],
  ['resume', stream => {
    while (stream.read() !== null) continue
    stream.resume()
  }],
  ['a listener of data', stream => stream.on('data', () => {})],
  ['pipe', stream => stream.pipe(new Writable({ write: (_chunk, callback) => callback(null) }))]
] as [string, (stream: UringReadStream) => unknown][]) {
  ringTest(`a leased stream ends whose last chunk was taken by read() (${how})`, async t => {
    const { file } = fileAndTarget(t, 1000)
    const stream = createUringReadStream(file.path, { buffers: 'leased' })
    const closed = closing(stream)
    const taken = new Promise<void>(resolve => stream.once('readable', () => {
      t.equal(stream.read().length, 1000)
      resolve()
    }))
    await taken
    await turns(5)
    goOn(stream)
    t.equal(await closed, undefined)
  })
}

ringTest('a leased stream ends that is paused for a read() and resumed', async t => {
  const { file } = fileAndTarget(t, 20 * chunkSize)
  const stream = createUringReadStream(file.path, { buffers: 'leased', chunkSize })
  const hash = createHash('sha256')
  stream.on('data', chunk => {
    hash.update(chunk)
    stream.pause()
    setImmediate(() => {
      stream.read() // emits what it gives
      stream.resume()
    })
  })
  t.equal(await closing(stream), undefined)
  t.equal(hash.digest('hex'), file.sha256)
})

for (const [how, begin] of [
  ['nothing of it was read', () => Buffer.alloc(0)],
  ['a chunk was read', stream => Buffer.from(stream.read())],
  ['a part of a chunk was given back', stream => {
    const chunk: Buffer = stream.read()
    const head = Buffer.from(chunk.subarray(0, 100))
    stream.unshift(chunk.subarray(100))
    return head
  }]
] as [string, (stream: UringReadStream) => Buffer][]) {
  ringTest(`a foreign destination gets the rest of a leased stream when a chunk was in the queue and ${how}`, async t => {
    const { file } = fileAndTarget(t, 40 * chunkSize + 5)
    const kept: Buffer[] = []
    const target = new Writable({
      highWaterMark: file.content.length,
      write(chunk, callback) {
        kept.push(chunk as Buffer)
        setImmediate(callback, null)
      }
    })
    const stream = createUringReadStream(file.path, { buffers: 'leased', chunkSize })
    const head = await new Promise<Buffer>(resolve => stream.once('readable', () => resolve(begin(stream))))
    await turns(5)
    await new Promise<void>((resolve, reject) => stream.pipe(target, error => error ? reject(error) : resolve()))
    t.equal(sha256(Buffer.concat([head, ...kept])), file.sha256)
    await turns(2)
  })
}

ringTest('what a foreign destination keeps of a leased stream stays as it was', async t => {
  const { file } = fileAndTarget(t, 40 * chunkSize + 5)
  const kept: Buffer[] = []
  const target = new Writable({
    write(chunk, callback) {
      kept.push(chunk as Buffer)
      setImmediate(callback, null)
    }
  })
  const stream = createUringReadStream(file.path, { buffers: 'leased', chunkSize })
  await new Promise<void>((resolve, reject) => stream.pipe(target, error => error ? reject(error) : resolve()))
  t.equal(sha256(Buffer.concat(kept)), file.sha256)
  await turns(2)
})

ringTest('destroy cancels what is in flight, and close comes when the file is closed', async t => {
  const { file } = fileAndTarget(t, 1 << 23)
  for (let stage = 0; stage < 12; stage++) {
    const stream = createUringReadStream(file.path, { chunkSize, buffers: stage % 2 ? 'leased' : 'owned' })
    const closed = closing(stream)
    if (stage > 1) stream.on('data', () => {})
    await turns(stage >> 1)
    const reason = stage % 3 === 0 ? new Error('mine') : undefined
    const ended = stream.destroying // a fast machine has read all of it
    stream.destroy(reason)
    t.equal(await closed, ended ? undefined : reason)
    t.match(Ring.shared().stats(), { inFlight: 0, filesInUse: 0, buffersInUse: 0 })
  }
})

ringTest('destroy ends a read that waits', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const holder = await open(fifo, 'r+')
  const stream = createUringReadStream(fifo)
  stream.on('data', () => {})
  await until(() => Ring.shared().stats().inFlight === 1)
  await turns(3)
  const closed = closing(stream)
  stream.destroy()
  await closed
  await holder.close()
}, notUring)

ringTest('a loop that is left early closes the file', async t => {
  const { file } = fileAndTarget(t, 1 << 20)
  const stream = createUringReadStream(file.path, { chunkSize, buffers: 'leased' })
  let kept: Buffer | undefined
  for await (const chunk of stream) {
    kept = chunk as Buffer
    t.equal(kept.length, chunkSize)
    break
  }
  t.equal(kept!.length, 0)
})

ringTest('errors come in Node\'s shape', async t => {
  const directory = t.testdir()
  const missing = createUringReadStream(join(directory, 'missing'))
  missing.resume()
  t.match(await closing(missing), { code: 'ENOENT', syscall: 'open' })
  const folder = createUringReadStream(directory)
  folder.resume()
  t.match(await closing(folder), { code: 'EISDIR', syscall: 'read' })
  const iterated = (async () => { for await (const chunk of createUringReadStream(join(directory, 'missing'))) void chunk })()
  t.match(await rejection(iterated), { code: 'ENOENT' })
})

ringTest('a signal destroys it, before and while it reads', async t => {
  const { file, target } = fileAndTarget(t, 1 << 20)
  const controller = new AbortController()
  const stream = createUringReadStream(file.path, { chunkSize, signal: controller.signal })
  stream.on('data', () => controller.abort(new Error('mine')))
  t.match(await closing(stream), { name: 'AbortError', code: 'ABORT_ERR', cause: { message: 'mine' } })
  const before = createUringReadStream(target, { signal: AbortSignal.abort() })
  t.match(await closing(before), { name: 'AbortError' }, 'not ENOENT')
})

ringTest('setEncoding decodes, leased or owned', async t => {
  const { file } = fileAndTarget(t, 50_001)
  for (const buffers of ['owned', 'leased'] as const) {
    const stream = createUringReadStream(file.path, { chunkSize: 1000, buffers })
    stream.setEncoding('hex')
    let text = ''
    stream.on('data', chunk => { text += chunk as string })
    await closing(stream)
    t.equal(text, file.content.toString('hex'), buffers)
  }
})

ringTest('bad options are refused at once, and another ring is used', async t => {
  const { file } = fileAndTarget(t, 1000)
  t.match(thrown(() => createUringReadStream(file.path, { start: -1 })), { code: 'ERR_OUT_OF_RANGE' })
  t.match(thrown(() => createUringReadStream(file.path, { buffers: 'lent' as any })), { code: 'ERR_INVALID_ARG_VALUE' })
  await withRing(t, {}, async ring => {
    t.ok((await dataOf(createUringReadStream(file.path, { ring }))).equals(file.content))
    t.ok(ring.stats().submitted > 0)
  })
})
