import fs from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, next, properties, readAll, recordEvents, turns } from '../helpers/stream-events.js'

type ReadCallback = (error: Error | null, bytesRead?: number, buffer?: Buffer) => void

/** A file in memory behind the functions of node:fs; it remembers its calls. */
class MemoryFs {
  readonly calls: string[] = []
  opened: unknown[] = []
  readonly positions: unknown[] = []
  readonly descriptors = new Set<unknown>()
  overlapping = 0
  /** The most that one read gives. */
  limit = Infinity
  readError: Error | undefined
  #cursor = 0
  #reading = 0

  constructor(readonly content: Buffer) {}

  open = (path: string, flags: string, mode: number, callback: (error: Error | null, fd?: number) => void): void => {
    this.calls.push('open')
    this.opened = [path, flags, mode]
    setImmediate(() => callback(null, 4242))
  }

  read = (fd: number, buffer: Buffer, offset: number, length: number, position: unknown, callback: ReadCallback): void => {
    if (this.calls.at(-1) !== 'read') this.calls.push('read')
    this.positions.push(position)
    this.descriptors.add(fd)
    if (++this.#reading > 1) this.overlapping++
    setImmediate(() => {
      this.#reading--
      if (this.readError) return callback(this.readError)
      const from = typeof position === 'number' ? position : this.#cursor
      const copied = this.content.copy(buffer, offset, from, from + Math.min(length, this.limit))
      if (typeof position !== 'number') this.#cursor += copied
      callback(null, copied, buffer)
    })
  }

  close = (fd: number, callback: (error?: Error | null) => void): void => {
    this.calls.push(`close ${fd}`)
    setImmediate(() => callback(null))
  }
}

streamTest('open, read and close of a custom fs are called as those of fs would be', async t => {
  const memory = new MemoryFs(patterned(100_000))
  const stream = createUringReadStream('some/path', { fs: memory as never, mode: 0o640, flags: 'r+', highWaterMark: 9000 })
  const seen = recordEvents(stream, ['open', 'ready', 'data', 'end', 'close'])
  t.equal(sha256(await readAll(stream)), sha256(memory.content))
  t.same(seen, ['open', 'ready', 'data', 'end', 'close'])
  t.same(memory.calls, ['open', 'read', 'close 4242'])
  t.same([...memory.descriptors], [4242])
  t.equal(stream.bytesRead, 100_000)
})

streamTest('a custom open is given path, flags and mode as the stream was', async t => {
  const memory = new MemoryFs(patterned(10))
  await readAll(createUringReadStream('some/path', { fs: memory as never }))
  t.same(memory.opened, ['some/path', 'r', 0o666])
  await readAll(createUringReadStream('some/path', { fs: memory as never, flags: 'r+', mode: 0o640 }))
  t.same(memory.opened, ['some/path', 'r+', 0o640])
})

streamTest('without a start a custom read is given no position, and is called once at a time', async t => {
  const memory = new MemoryFs(patterned(100_000))
  const stream = createUringReadStream('path', { fs: memory as never, highWaterMark: 9000 })
  t.equal(sha256(await readAll(stream)), sha256(memory.content))
  t.ok(memory.positions.every(position => position === undefined || position === null))
  t.equal(memory.overlapping, 0)
})

streamTest('with a start a custom read is given rising positions', async t => {
  const memory = new MemoryFs(patterned(100_000))
  const stream = createUringReadStream('path', { fs: memory as never, start: 5, end: 80_004, highWaterMark: 9000 })
  t.equal(sha256(await readAll(stream)), sha256(memory.content.subarray(5, 80_005)))
  const positions = memory.positions as number[]
  t.equal(positions[0], 5)
  t.same(positions, [...positions].sort((a, b) => a - b))
})

streamTest('a custom read may give less than it was asked for', async t => {
  for (const start of [undefined, 0]) {
    const memory = new MemoryFs(patterned(50_000))
    memory.limit = 777
    const stream = createUringReadStream('path', { fs: memory as never, start })
    t.equal(sha256(await readAll(stream)), sha256(memory.content))
  }
})

streamTest('an error of a custom open is the error of the stream, and nothing is closed', async t => {
  const memory = new MemoryFs(patterned(10))
  const reason = new Error('no such thing here')
  const open = (...given: unknown[]) => { setImmediate(given.at(-1) as (error: Error) => void, reason) }
  const stream = createUringReadStream('path', { fs: { open, read: memory.read, close: memory.close } as never })
  const seen = recordEvents(stream, ['open', 'ready', 'end', 'error', 'close'])
  t.equal(await closing(stream), reason)
  t.same(seen, ['error', 'close'])
  t.same(memory.calls, [])
})

streamTest('an error of a custom read is the error of the stream, and the file is closed', async t => {
  const memory = new MemoryFs(patterned(100_000))
  const reason = new Error('a bad sector')
  const stream = createUringReadStream('path', { fs: memory as never, highWaterMark: 1000 })
  stream.once('data', () => { memory.readError = reason })
  const seen = recordEvents(stream, ['end', 'error', 'close'])
  t.equal(await closing(stream), reason)
  t.same(seen, ['error', 'close'])
  t.equal(memory.calls.at(-1), 'close 4242')
})

streamTest('an error of a custom close is the error of the stream', async t => {
  const memory = new MemoryFs(patterned(1000))
  const reason = new Error('cannot close')
  const close = (_fd: number, callback: (error: Error) => void) => { setImmediate(callback, reason) }
  const stream = createUringReadStream('path', { fs: { open: memory.open, read: memory.read, close } as never })
  const seen = recordEvents(stream.resume(), ['end', 'error', 'close'])
  t.equal(await closing(stream), reason)
  t.same(seen, ['end', 'error', 'close'])
})

streamTest('destroy() waits for a custom read before it closes', async t => {
  const memory = new MemoryFs(patterned(100_000))
  const order: string[] = []
  let finish: (() => void) | undefined
  const read: MemoryFs['read'] = (...given) => {
    order.push('read begins')
    finish = () => {
      order.push('read ends')
      memory.read(...given)
    }
  }
  const close: MemoryFs['close'] = (...given) => {
    order.push('close')
    memory.close(...given)
  }
  const stream = createUringReadStream('path', { fs: { open: memory.open, read, close } as never })
  stream.resume()
  await next(stream, 'ready')
  while (!finish) await turns(1)
  stream.destroy()
  await turns(20)
  t.same(order, ['read begins'])
  finish()
  t.equal(await closing(stream), undefined)
  t.same(order, ['read begins', 'read ends', 'close'])
})

streamTest('with a descriptor a custom fs needs no open', async t => {
  const memory = new MemoryFs(patterned(5000))
  const stream = createUringReadStream('', { fd: 77, fs: { read: memory.read, close: memory.close } as never })
  t.equal(properties(stream).fd, 77)
  t.equal(sha256(await readAll(stream)), sha256(memory.content))
  t.same(memory.calls, ['read', 'close 77'])
})

streamTest('with autoClose false a custom fs needs no close', async t => {
  const memory = new MemoryFs(patterned(5000))
  const stream = createUringReadStream('p', { autoClose: false, fs: { open: memory.open, read: memory.read } as never })
  stream.resume()
  await next(stream, 'end')
  t.same(memory.calls, ['open', 'read'])
  t.equal(properties(stream).fd, 4242)
})

streamTest('functions that wrap those of node:fs work', async t => {
  const content = patterned(300_000)
  const file = join(t.testdir({ file: content }), 'file')
  let reads = 0
  const read = (...given: Parameters<typeof fs.read>) => {
    reads++
    fs.read(...given)
  }
  t.equal(sha256(await readAll(createUringReadStream(file, { fs: { ...fs, read } as never }))), sha256(content))
  t.ok(reads > 1)
  for (const plain of [fs, null, undefined]) {
    t.equal(sha256(await readAll(createUringReadStream(file, { fs: plain as never }))), sha256(content))
  }
})
