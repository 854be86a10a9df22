import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Test } from 'tap'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import type { UringReadStream } from '../../lib/index.js'
import * as streamx from '../../lib/streamx.js'
import { makeFile } from '../helpers/files.js'
import type { KnownFile } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, next, turn } from '../helpers/stream-events.js'
import { fileAndTarget } from '../helpers/web-streams.js'

const chunkSize = 8192
const leased = { buffers: 'leased', chunkSize } as const

function sourceOf(t: Test): KnownFile {
  return makeFile(join(t.testdir(), 'source'), 40 * chunkSize + 77)
}

/** Chunks and views into them, all kept, and whether those that are over show nothing. */
class Kept {
  readonly chunks: Buffer[] = []
  readonly #views: Uint8Array[][] = []
  readonly hash = createHash('sha256')
  stale = 0

  add(t: Test, chunk: Buffer): void {
    this.assertOver(t, this.chunks.length)
    this.hash.update(chunk)
    this.chunks.push(chunk)
    this.#views.push([chunk, chunk.subarray(1), new Uint8Array(chunk.buffer, chunk.byteOffset, 1), new Uint8Array(chunk.buffer)])
    if (this.#views.at(-1)!.some(view => view.length === 0 && chunk.length > 1)) t.fail('a new chunk has no bytes')
  }

  /** The first `count` chunks must have nothing left to see. */
  assertOver(t: Test, count: number): void {
    const seen = this.#views.slice(0, count).flat().filter(view => view.byteLength > 0)
    if (seen.length > 0) t.fail(`${seen.length} views of the first ${count} chunks still show bytes`)
    this.stale += count
  }
}

ringTest('a chunk is detached when the next one is delivered, and the last one at the close', async t => {
  const source = sourceOf(t)
  const stream = createUringReadStream(source.path, leased)
  const kept = new Kept()
  stream.on('data', (chunk: Buffer) => kept.add(t, chunk))
  t.equal(await closing(stream), undefined)
  kept.assertOver(t, kept.chunks.length)
  t.equal(kept.hash.digest('hex'), source.sha256, 'while they were valid they were right')
  t.ok(kept.chunks.length > 40, `${kept.chunks.length} chunks, ${kept.stale} looks at what was over`)
})

ringTest('of all chunks kept during `for await` only the last shows bytes, and after the close none', async t => {
  const source = sourceOf(t)
  const stream = createUringReadStream(source.path, leased)
  const chunks = new Set<Buffer>()
  const hash = createHash('sha256')
  for await (const chunk of stream) {
    if ([...chunks].some(({ length }) => length > 0)) t.fail(`after ${chunks.size} chunks an older one shows bytes`)
    chunks.add(chunk)
    await turn() // also while the program waits for something else
    if (chunk.length === 0) t.fail(`chunk ${chunks.size} was detached while it was the last one`)
    hash.update(chunk)
  }
  if (!stream.closed) await closing(stream)
  t.equal(hash.digest('hex'), source.sha256)
  t.ok(chunks.size > 40)
  t.same([...chunks].filter(({ length }) => length > 0), [], 'after the close')
})

ringTest('a loop that is left early detaches the chunk that it had', async t => {
  const source = sourceOf(t)
  const stream = createUringReadStream(source.path, leased)
  const closed = closing(stream)
  let kept: Buffer | undefined
  for await (const chunk of stream) {
    kept = chunk as Buffer
    t.ok(kept.equals(source.content.subarray(0, chunkSize)))
    break
  }
  await closed
  t.equal(kept!.length, 0)
})

ringTest('a chunk taken by read() is valid until the next read()', async t => {
  const source = sourceOf(t)
  const stream = createUringReadStream(source.path, leased)
  const kept = new Kept()
  stream.on('readable', () => {
    for (let chunk: Buffer | null; (chunk = stream.read()) !== null;) kept.add(t, chunk)
  })
  t.equal(await closing(stream), undefined)
  kept.assertOver(t, kept.chunks.length)
  t.equal(kept.hash.digest('hex'), source.sha256)
})

ringTest('destroying a paused stream detaches the chunk that its consumer has', async t => {
  const source = sourceOf(t)
  const stream = createUringReadStream(source.path, leased)
  const chunk = await new Promise<Buffer>(resolve => {
    stream.on('data', (first: Buffer) => {
      stream.pause()
      resolve(first)
    })
  })
  await turn()
  t.ok(chunk.equals(source.content.subarray(0, chunkSize)), 'it is still there while the stream is paused')
  const closed = closing(stream)
  stream.destroy()
  await closed
  t.equal(chunk.length, 0)
})

// Its lease would be given back twice, and its memory be of two streams.
ringTest('a chunk that is over is written as one without bytes, and its memory is not given back again', async t => {
  const { file, target } = fileAndTarget(t, 40 * chunkSize + 77)
  const writer = createUringWriteStream(target)
  let last: Buffer | undefined
  for await (const chunk of createUringReadStream(file.path, leased)) {
    if (last !== undefined) writer.write(last)
    last = chunk
    writer.write('x')
  }
  await endAndClose(writer)
  t.match(readFileSync(target, 'utf8'), /^x{41}$/)
})

ringTest('streamx\'s writer refuses a chunk that is over', async t => {
  const { file, target } = fileAndTarget(t, 40 * chunkSize + 77)
  const writer = streamx.createUringWriteStream(target)
  const failure = new Promise<Error>(resolve => writer.on('error', resolve))
  const closed = new Promise<void>(resolve => writer.on('close', resolve))
  const reader = createUringReadStream(file.path, leased)
  const chunks = reader[Symbol.asyncIterator]()
  const { value: first } = await chunks.next()
  await chunks.next()
  writer.write(first)
  t.match(await failure, { code: 'ERR_INVALID_STATE', message: /detached/ })
  await closed
  await chunks.return!()
  await closing(reader)
})

ringTest('a chunk on loan refuses to be transferred, whoever may have it then', async t => {
  const source = sourceOf(t)
  for await (const chunk of createUringReadStream(source.path, { ...leased, end: chunkSize - 1 })) {
    const memory = chunk.buffer
    for (const transfer of ['transfer', 'transferToFixedLength']) t.throws(() => memory[transfer](), { code: 'ERR_INVALID_STATE' }, transfer)
    t.ok(chunk.equals(source.content.subarray(0, chunkSize)), 'it is still there')
  }
})

/** A destination that keeps every chunk and is done with each a turn later; so chunks queue up before it. */
function keeper(chunks: Buffer[]): Writable {
  return new Writable({
    highWaterMark: 4 * chunkSize,
    write(chunk: Buffer, _encoding, callback) {
      chunks.push(chunk)
      setImmediate(callback)
    }
  })
}

for (const [how, connect] of [
  ['pipe', async (source, target) => {
    const finished = new Promise(resolve => target.once('finish', resolve))
    const closed = closing(source.pipe(target) && source)
    await Promise.all([finished, closed])
  }],
  ['pipeline', (source, target) => pipeline(source, target)]
] as [string, (source: ReturnType<typeof createUringReadStream>, target: Writable) => Promise<void>][]) {
  ringTest(`what a slow foreign destination keeps of a leased stream stays as it was (${how})`, async t => {
    const source = sourceOf(t)
    const chunks: Buffer[] = []
    await connect(createUringReadStream(source.path, leased), keeper(chunks))
    await turn()
    t.ok(chunks.length > 40, `${chunks.length} chunks`)
    t.equal(sha256(Buffer.concat(chunks)), source.sha256)
  })
}

const begun: Record<string, (source: UringReadStream) => Promise<Buffer>> = {
  'nothing of it was read, and a chunk waits': async source => {
    await next(source, 'readable')
    return Buffer.alloc(0)
  },
  'a head of it was read': async source => {
    await next(source, 'readable')
    return Buffer.from(source.read(100))
  },
  'a chunk was read, and a part of it given back': async source => {
    await next(source, 'readable')
    const chunk: Buffer = source.read()
    const head = Buffer.from(chunk.subarray(0, 100))
    source.unshift(chunk.subarray(100))
    return head
  },
  'a chunk was read, and it is about to flow to another listener': async source => {
    const heard = next<Buffer>(source, 'data')
    const head = Buffer.from(await heard)
    source.pause()
    source.unshift(Buffer.alloc(0))
    await turn()
    source.resume()
    source.on('data', () => {})
    return head
  }
}

for (const [how, begin] of Object.entries(begun)) {
  ringTest(`a slow foreign destination gets the rest of a leased stream when ${how}`, async t => {
    const source = sourceOf(t)
    const stream = createUringReadStream(source.path, leased)
    const head = await begin(stream)
    const chunks: Buffer[] = []
    const target = keeper(chunks)
    const closed = Promise.all([next(target, 'finish'), closing(stream)])
    stream.pipe(target)
    await closed
    t.equal(sha256(Buffer.concat([head, ...chunks])), source.sha256)
  })
}
