import { createWriteStream, openSync, readFileSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, next, onData, properties, readAll, recordEvents, thrown, turns, writeOne } from '../helpers/stream-events.js'

const NAMES = ['open', 'ready', 'data', 'end', 'finish', 'error', 'close']

/** Counts the 'close' events of a handle. */
function closesOf(handle: FileHandle): { count: number } {
  const closes = { count: 0 }
  ;(handle as unknown as NodeJS.EventEmitter).on('close', () => { closes.count++ })
  return closes
}

streamTest('a FileHandle is read from where it stands, then closed, without open and ready', async t => {
  const content = patterned(300_000)
  const file = join(t.testdir({ file: content }), 'file')
  const handle = await open(file)
  await handle.read(Buffer.alloc(100), 0, 100)
  const closes = closesOf(handle)
  const stream = createUringReadStream('is ignored', { fd: handle, highWaterMark: 10_000 })
  t.match(properties(stream), { fd: handle.fd, pending: false })
  const seen = recordEvents(stream, NAMES)
  t.equal(sha256(await readAll(stream)), sha256(content.subarray(100)))
  t.same(seen, ['data', 'end', 'close'])
  t.equal(handle.fd, -1)
  t.equal(closes.count, 1)
  t.equal(properties(stream).fd, null)
  await handle.close()
})

streamTest('start, end and an encoding hold for a FileHandle', async t => {
  const file = join(t.testdir({ file: '0123456789' }), 'file')
  const stream = createUringReadStream('', { fd: await open(file), start: 2, end: 5, encoding: 'utf8' })
  t.equal(await next(stream, 'data'), '2345')
  await closing(stream)
})

streamTest('a FileHandle is written from where it stands, then closed', async t => {
  const file = join(t.testdir(), 'file')
  const handle = await open(file, 'w')
  await handle.write('head ')
  const content = patterned(300_000)
  const stream = createUringWriteStream('', { fd: handle, flush: true })
  const seen = recordEvents(stream, NAMES)
  for (let at = 0; at < content.length; at += 9001) stream.write(content.subarray(at, at + 9001))
  await endAndClose(stream)
  t.same(seen, ['finish', 'close'])
  t.equal(handle.fd, -1)
  t.equal(sha256(readFileSync(file)), sha256(Buffer.concat([Buffer.from('head '), content])))
})

streamTest('a FileHandle stands behind what was appended to it', async t => {
  const handle = await open(join(t.testdir({ file: '0123456789' }), 'file'), 'a+')
  await handle.read(Buffer.alloc(3), 0, 3)
  const writer = createUringWriteStream('', { fd: handle, autoClose: false })
  const finished = next(writer, 'finish')
  writer.end('abc')
  await finished
  t.equal((await handle.read(Buffer.alloc(1), 0, 1)).bytesRead, 0)
  writer.destroy()
  await closing(writer)
  await handle.close()
})

streamTest('a FileHandle stays where it stands when it is appended to with a start, as by fs streams', async t => {
  for (const makeStream of [createWriteStream, createUringWriteStream]) {
    const file = join(t.testdir({ file: '0123456789' }), 'file')
    const handle = await open(file, 'a+')
    await handle.read(Buffer.alloc(3), 0, 3)
    const stream = makeStream('', { fd: handle.fd, autoClose: false, start: 5 })
    await new Promise<void>(resolve => { stream.end('abc', resolve) })
    t.equal((await handle.read(Buffer.alloc(1), 0, 1)).buffer.toString(), '3')
    t.equal(readFileSync(file, 'utf8'), '0123456789abc')
    await handle.close()
  }
})

streamTest('autoClose false leaves a FileHandle open and usable', async t => {
  const file = join(t.testdir({ file: '0123456789' }), 'file')
  const handle = await open(file, 'r+')
  const reader = createUringReadStream('', { fd: handle, autoClose: false, end: 3 })
  let text = ''
  onData(reader, chunk => { text += chunk.toString() })
  await next(reader, 'end')
  t.equal(text, '0123')
  const writer = createUringWriteStream('', { fd: handle, autoClose: false })
  const finished = next(writer, 'finish')
  writer.end('abc')
  await finished
  await turns(20)
  t.equal((await handle.read(Buffer.alloc(1), 0, 1)).buffer.toString(), '7', 'the position is behind what was written')
  t.equal(readFileSync(file, 'utf8'), '0123abc789')
  reader.destroy()
  writer.destroy()
  await Promise.all([closing(reader), closing(writer)])
  await handle.close()
})

streamTest('destroying a stream closes its FileHandle', async t => {
  const file = join(t.testdir({ file: patterned(300_000) }), 'file')
  for (const moment of ['same tick', 'data']) {
    const handle = await open(file)
    const fd = handle.fd
    const closes = closesOf(handle)
    const stream = createUringReadStream('', { fd: handle, highWaterMark: 1000 })
    if (moment === 'data') stream.once('data', () => stream.destroy())
    else stream.destroy()
    t.equal(await closing(stream), undefined)
    t.equal(handle.fd, -1)
    t.equal(closes.count, 1)
    t.equal(isOpenOn(fd, file), false)
  }
})

streamTest('closing a FileHandle closes the stream that reads it', async t => {
  const file = join(t.testdir({ file: patterned(1 << 20) }), 'file')
  for (const moment of ['same tick', 'data', 'paused']) {
    const handle = await open(file)
    const stream = createUringReadStream('', { fd: handle, highWaterMark: 1000 })
    const seen = recordEvents(stream, ['end', 'error', 'close'])
    const closed = closing(stream)
    if (moment !== 'same tick') {
      stream.once('data', () => stream.pause())
      await next(stream, 'pause')
      if (moment === 'data') stream.resume()
    }
    await handle.close()
    t.equal(await closed, undefined)
    t.same(seen, ['close'], moment)
    t.match(stream, { destroyed: true, readableEnded: false })
    t.equal(handle.fd, -1)
  }
})

streamTest('closing a FileHandle first writes what a stream has queued', async t => {
  const content = patterned(2 << 20)
  const file = join(t.testdir(), 'file')
  const handle = await open(file, 'w')
  const stream = createUringWriteStream('', { fd: handle, highWaterMark: 1000 })
  const seen = recordEvents(stream, NAMES)
  const closed = closing(stream)
  const results: Promise<unknown>[] = []
  for (let at = 0; at < content.length; at += 50_000) results.push(writeOne(stream, content.subarray(at, at + 50_000)))
  await handle.close()
  t.equal(sha256(readFileSync(file)), sha256(content), 'handle.close() has waited for the stream')
  t.equal(await closed, undefined)
  t.same((await Promise.all(results)).filter(error => error), [])
  t.same(seen, ['finish', 'close'])
})

streamTest('operations of the FileHandle work while a stream uses it', async t => {
  const content = patterned(200_000)
  const file = join(t.testdir({ file: content }), 'file')
  const handle = await open(file)
  const stream = createUringReadStream('', { fd: handle, start: 0, highWaterMark: 5000 })
  const chunks: Buffer[] = []
  onData(stream, chunk => chunks.push(chunk))
  const sizes = await Promise.all([handle.stat(), handle.read(Buffer.alloc(10), 0, 10, 1000)])
  t.equal(sizes[0].size, content.length)
  t.ok(sizes[1].buffer.equals(content.subarray(1000, 1010)))
  await closing(stream)
  t.equal(sha256(Buffer.concat(chunks)), sha256(content))
})

streamTest('a failing read of a FileHandle is an error, and closes it', async t => {
  const handle = await open(t.testdir())
  const stream = createUringReadStream('', { fd: handle })
  const seen = recordEvents(stream, NAMES)
  t.match(await closing(stream), { code: 'EISDIR', syscall: 'read' })
  t.same(seen, ['error', 'close'])
  t.equal(handle.fd, -1)
})

streamTest('a FileHandle that is closed, or one with a custom fs, is refused at once', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const closed = await open(file)
  await closed.close()
  t.equal(thrown(() => createUringReadStream('', { fd: closed }))?.code, 'ERR_OUT_OF_RANGE')
  t.equal(thrown(() => createUringWriteStream('', { fd: closed }))?.code, 'ERR_OUT_OF_RANGE')
  const handle = await open(file)
  const options = { fd: handle, fs: { open() {}, read() {}, write() {}, close() {} } } as never
  t.equal(thrown(() => createUringReadStream('', options))?.code, 'ERR_METHOD_NOT_IMPLEMENTED')
  t.equal(thrown(() => createUringWriteStream('', options))?.code, 'ERR_METHOD_NOT_IMPLEMENTED')
  await handle.close()
})

streamTest('an abort of its stream closes a FileHandle', async t => {
  const file = join(t.testdir({ file: patterned(300_000) }), 'file')
  const handle = await open(file)
  const controller = new AbortController()
  const stream = createUringReadStream('', { fd: handle, signal: controller.signal, highWaterMark: 1000 })
  stream.once('data', () => controller.abort())
  t.equal((await closing(stream))?.code, 'ABORT_ERR')
  t.equal(handle.fd, -1)
})

streamTest('a signal that is aborted already closes what was given', async t => {
  const file = join(t.testdir({ file: patterned(300_000) }), 'file')
  const signal = AbortSignal.abort()
  for (const create of [createUringReadStream, createUringWriteStream]) {
    const handle = await open(file, 'r+')
    t.equal((await closing(create('', { fd: handle, signal })))?.code, 'ABORT_ERR')
    t.equal(handle.fd, -1)
    const fd = openSync(file, 'r+')
    t.equal((await closing(create('', { fd, signal })))?.code, 'ABORT_ERR')
    t.notOk(isOpenOn(fd, file))
  }
})
