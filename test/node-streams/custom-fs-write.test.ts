import fs from 'node:fs'
import { join } from 'node:path'
import { createUringWriteStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, failingWrite, next, properties, recordEvents, turns, writeOne } from '../helpers/stream-events.js'

type WriteCallback = (error: Error | null, written: number, data: unknown) => void

/** A file in memory behind the functions of node:fs; it remembers its calls. */
class MemoryFs {
  readonly calls: string[] = []
  readonly positions: unknown[] = []
  opened: unknown[] = []
  bytes = Buffer.alloc(0)
  overlapping = 0
  /** The most that one write takes. */
  limit = Infinity
  /** How many writes fail with EAGAIN before the next one works. */
  busy = 0
  writeError: Error | undefined
  #writing = 0

  open = (path: string, flags: string, mode: number, callback: (error: Error | null, fd?: number) => void): void => {
    this.#note('open')
    this.opened = [path, flags, mode]
    setImmediate(() => callback(null, 4242))
  }

  write = (fd: number, data: Uint8Array, offset: number, length: number, position: unknown, callback: WriteCallback): void => {
    this.#note(`write ${fd}`)
    this.#take(Buffer.from(data.subarray(offset, offset + length)), position, data, callback)
  }

  writev = (fd: number, views: Uint8Array[], position: unknown, callback: WriteCallback): void => {
    this.#note(`writev ${fd}`)
    this.#take(Buffer.concat(views), position, views, callback)
  }

  fsync = (fd: number, callback: (error?: Error | null) => void): void => {
    this.#note(`fsync ${fd}`)
    setImmediate(() => callback(null))
  }

  close = (fd: number, callback: (error?: Error | null) => void): void => {
    this.#note(`close ${fd}`)
    setImmediate(() => callback(null))
  }

  #note(call: string): void {
    if (this.calls.at(-1) !== call) this.calls.push(call)
  }

  #take(data: Buffer, position: unknown, given: unknown, callback: WriteCallback): void {
    this.positions.push(position)
    if (++this.#writing > 1) this.overlapping++
    setImmediate(() => {
      this.#writing--
      if (this.writeError) return callback(this.writeError, 0, given)
      if (this.busy > 0) {
        this.busy--
        return callback(Object.assign(new Error('try again'), { code: 'EAGAIN' }), 0, given)
      }
      const taken = data.subarray(0, Math.min(this.limit, data.length))
      const at = Number.isInteger(position) ? position as number : this.bytes.length
      const grown = Buffer.alloc(Math.max(this.bytes.length, at + taken.length))
      this.bytes.copy(grown)
      taken.copy(grown, at)
      this.bytes = grown
      callback(null, taken.length, given)
    })
  }
}

const CONTENT = patterned(100_000)

/** Writes CONTENT in small parts and closes. */
async function writeContent(stream: ReturnType<typeof createUringWriteStream>): Promise<void> {
  for (let at = 0; at < CONTENT.length; at += 3001) stream.write(CONTENT.subarray(at, at + 3001))
  await endAndClose(stream)
}

streamTest('open, write, writev and close of a custom fs are called as those of fs would be', async t => {
  const memory = new MemoryFs()
  const stream = createUringWriteStream('some/path', { fs: memory as never, mode: 0o640, flags: 'wx' })
  const seen = recordEvents(stream, ['open', 'ready', 'finish', 'error', 'close'])
  await writeContent(stream)
  t.equal(sha256(memory.bytes), sha256(CONTENT))
  t.same(seen, ['open', 'ready', 'finish', 'close'])
  t.equal(memory.calls[0], 'open')
  t.equal(memory.calls.at(-1), 'close 4242')
  t.same(memory.calls.slice(1, -1).filter(call => !/^writev? 4242$/.test(call)), [])
  t.equal(stream.bytesWritten, CONTENT.length)
})

streamTest('a custom open is given path, flags and mode as the stream was', async t => {
  const memory = new MemoryFs()
  await endAndClose(createUringWriteStream('some/path', { fs: memory as never }))
  t.same(memory.opened, ['some/path', 'w', 0o666])
  await endAndClose(createUringWriteStream('some/path', { fs: memory as never, flags: 'wx', mode: 0o640 }))
  t.same(memory.opened, ['some/path', 'wx', 0o640])
})

streamTest('a custom fs that has only write is used, and one that has only writev too', async t => {
  for (const only of ['write', 'writev'] as const) {
    const memory = new MemoryFs()
    const stream = createUringWriteStream('p', { fs: { open: memory.open, close: memory.close, [only]: memory[only] } as never })
    await writeContent(stream)
    t.equal(sha256(memory.bytes), sha256(CONTENT), only)
    t.same(memory.calls, ['open', `${only} 4242`, 'close 4242'])
  }
})

streamTest('without a start a custom write is given no position, and is called once at a time', async t => {
  const memory = new MemoryFs()
  await writeContent(createUringWriteStream('p', { fs: memory as never }))
  t.equal(sha256(memory.bytes), sha256(CONTENT))
  t.ok(memory.positions.every(position => !Number.isInteger(position)))
  t.equal(memory.overlapping, 0)
})

streamTest('with a start a custom write is given positions', async t => {
  for (const only of ['write', 'writev'] as const) {
    const memory = new MemoryFs()
    memory.bytes = Buffer.alloc(10, 'x')
    const stream = createUringWriteStream('p', {
      start: 4, flags: 'r+', fs: { open: memory.open, close: memory.close, [only]: memory[only] } as never,
    })
    await writeContent(stream)
    t.equal(sha256(memory.bytes), sha256(Buffer.concat([Buffer.from('xxxx'), CONTENT])))
    t.equal(memory.positions[0], 4)
  }
})

for (const [limit, busy, name] of [[777, 0, 'take less than it is given'], [Infinity, 3, 'be busy for a while']] as const) {
  streamTest(`a custom write may ${name}`, async t => {
    const memory = new MemoryFs()
    Object.assign(memory, { limit, busy })
    const fs = { open: memory.open, close: memory.close, write: memory.write } as never
    const stream = createUringWriteStream('p', { fs })
    await writeContent(stream)
    t.equal(sha256(memory.bytes), sha256(CONTENT))
    t.equal(stream.bytesWritten, CONTENT.length)
  })
}

streamTest('a custom write that never takes a byte is an error in the end', async t => {
  const memory = new MemoryFs()
  memory.busy = Infinity
  const stream = createUringWriteStream('p', { fs: memory as never })
  const { told, emitted } = await failingWrite(stream, 'content')
  t.ok(told instanceof Error)
  t.equal(emitted, told)
  t.equal(memory.calls.at(-1), 'close 4242')
})

streamTest('an error of a custom write fails the write and the stream, and the file is closed', async t => {
  const memory = new MemoryFs()
  const reason = new Error('the disk is gone')
  const stream = createUringWriteStream('p', { fs: memory as never })
  t.equal(await writeOne(stream, 'good'), undefined)
  memory.writeError = reason
  t.same(await failingWrite(stream, 'bad'), { told: reason, emitted: reason })
  t.equal(memory.bytes.toString(), 'good')
  t.same(memory.calls, ['open', 'write 4242', 'close 4242'])
})

streamTest('errors of a custom open and of a custom close are those of the stream', async t => {
  const memory = new MemoryFs()
  const reason = new Error('not here')
  const fail = (...given: unknown[]) => { setImmediate(given.at(-1) as (error: Error) => void, reason) }
  const unopened = createUringWriteStream('p', { fs: { open: fail, write: memory.write, close: memory.close } as never })
  t.same(await failingWrite(unopened, 'content'), { told: reason, emitted: reason })
  t.same(memory.calls, [])
  const unclosed = createUringWriteStream('p', { fs: { open: memory.open, write: memory.write, close: fail } as never })
  const seen = recordEvents(unclosed, ['finish', 'error', 'close'])
  unclosed.end('content')
  t.equal(await closing(unclosed), reason)
  t.same(seen, ['finish', 'error', 'close'])
})

streamTest('flush calls fsync between the last write and close', async t => {
  const memory = new MemoryFs()
  const stream = createUringWriteStream('p', { fs: memory as never, flush: true })
  stream.write('content')
  await endAndClose(stream)
  t.same(memory.calls, ['open', 'write 4242', 'fsync 4242', 'close 4242'])
  const without = new MemoryFs()
  const other = createUringWriteStream('p', { fs: without as never, flush: false })
  other.write('content')
  await endAndClose(other)
  t.same(without.calls, ['open', 'write 4242', 'close 4242'])
})

streamTest('an error of fsync is the error of the stream, and the file is closed', async t => {
  const memory = new MemoryFs()
  const reason = new Error('cannot sync')
  const fsync = (_fd: number, callback: (error: Error) => void) => { setImmediate(callback, reason) }
  const stream = createUringWriteStream('p', { fs: { open: memory.open, write: memory.write, close: memory.close, fsync } as never, flush: true })
  stream.end('content')
  t.equal(await closing(stream), reason)
  t.equal(memory.calls.at(-1), 'close 4242')
})

streamTest('flush needs a custom fsync', async t => {
  const { open, write, close } = new MemoryFs()
  t.throws(() => createUringWriteStream('p', { fs: { open, write, close } as never, flush: true }), { code: 'ERR_INVALID_ARG_TYPE' })
})

streamTest('destroy() waits for a custom write before it closes', async t => {
  const memory = new MemoryFs()
  const order: string[] = []
  let finish: (() => void) | undefined
  const write: MemoryFs['write'] = (...given) => {
    order.push('write begins')
    finish = () => {
      order.push('write ends')
      memory.write(...given)
    }
  }
  const close: MemoryFs['close'] = (...given) => {
    order.push('close')
    memory.close(...given)
  }
  const stream = createUringWriteStream('p', { fs: { open: memory.open, write, close } as never })
  stream.write('content')
  await next(stream, 'ready')
  while (!finish) await turns(1)
  stream.destroy()
  await turns(20)
  t.same(order, ['write begins'])
  finish()
  await closing(stream)
  t.same(order, ['write begins', 'write ends', 'close'])
})

streamTest('with a descriptor a custom fs needs no open, with autoClose false no close', async t => {
  const memory = new MemoryFs()
  const stream = createUringWriteStream('', { fd: 77, autoClose: false, fs: { write: memory.write } as never })
  const finished = next(stream, 'finish')
  stream.end('content')
  await finished
  t.equal(memory.bytes.toString(), 'content')
  t.equal(properties(stream).fd, 77)
})

streamTest('functions that wrap those of node:fs work', async t => {
  const file = join(t.testdir(), 'file')
  let writes = 0
  const write = (...given: Parameters<typeof fs.write>) => {
    writes++
    fs.write(...given)
  }
  await writeContent(createUringWriteStream(file, { fs: { ...fs, write, writev: undefined } as never }))
  t.equal(sha256(fs.readFileSync(file)), sha256(CONTENT))
  t.ok(writes > 0)
  await writeContent(createUringWriteStream(file, { fs }))
  t.equal(sha256(fs.readFileSync(file)), sha256(CONTENT))
})

streamTest('functions of a custom fs may leave out the error that there is not', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, {
    flush: true,
    fs: {
      open: (path: string, flags: string, mode: number, done: Function) => fs.open(path, flags, mode, (_, fd) => done(undefined, fd)),
      write: (fd: number, data: Buffer, from: number, length: number, at: number, done: Function) =>
        fs.write(fd, data, from, length, at, (_, bytes) => done(undefined, bytes)),
      fsync: (fd: number, done: Function) => fs.fsync(fd, () => done()),
      close: (fd: number, done: Function) => fs.close(fd, () => done())
    } as never
  })
  const seen = recordEvents(stream, ['open', 'ready', 'finish', 'error', 'close'])
  await writeContent(stream)
  t.equal(sha256(fs.readFileSync(file)), sha256(CONTENT))
  t.same(seen, ['open', 'ready', 'finish', 'close'])
})
