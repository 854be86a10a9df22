import { readFileSync, WriteStream } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { createUringWriteStream, UringWriteStream } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { patterned } from '../helpers/seeded.js'
import { closing, endAndClose, next, properties, writeOne } from '../helpers/stream-events.js'

streamTest('a stream is a Writable of node:stream', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  t.ok(stream instanceof UringWriteStream)
  t.ok(stream instanceof Writable)
  await endAndClose(stream)
})

streamTest('a stream is an instance of fs.WriteStream, and writes several chunks at once by itself', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  t.ok(stream instanceof WriteStream)
  stream.cork()
  for (const text of ['a', 'b', 'c']) stream.write(text)
  stream.uncork()
  await endAndClose(stream)
  t.equal(readFileSync(file, 'utf8'), 'abc')
  t.equal(stream.bytesWritten, 3)
})

streamTest('path is the string or the Buffer that was given, or the path of the URL', async t => {
  const file = join(t.testdir(), 'ä b%#?.txt')
  const buffer = Buffer.from(file)
  for (const [given, told] of [[file, file], [buffer, buffer], [pathToFileURL(file), file]] as const) {
    const stream = createUringWriteStream(given)
    t.equal(stream.path, told)
    stream.write('content')
    await endAndClose(stream)
    t.equal(readFileSync(file, 'utf8'), 'content')
  }
})

streamTest('fd is null, then the descriptor, then null; pending is its opposite', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  t.match(properties(stream), { fd: null, pending: true })
  const fd = await next<number>(stream, 'open')
  t.match(properties(stream), { fd, pending: false })
  t.ok(isOpenOn(fd, file), 'fd is a descriptor of the file')
  await endAndClose(stream)
  t.match(properties(stream), { fd: null, pending: true })
})

streamTest('flags, mode, start, autoClose and flush tell what was given, or the defaults', async t => {
  const file = join(t.testdir(), 'file')
  const usual = createUringWriteStream(file)
  t.match(properties(usual), { flags: 'w', mode: 0o666, autoClose: true, flush: false })
  t.equal(properties(usual).start, undefined)
  await endAndClose(usual)
  const given = createUringWriteStream(file, { flags: 'r+', mode: 0o600, start: 3, flush: true })
  const wanted = { flags: 'r+', mode: 0o600, start: 3, autoClose: true, flush: true }
  t.match(properties(given), wanted)
  await endAndClose(given)
  t.match(properties(given), wanted, 'they stay when the stream has closed')
})

streamTest('autoClose may be changed after construction', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  properties(stream).autoClose = false
  const finished = next(stream, 'finish')
  stream.end('content')
  await finished
  t.equal(stream.destroyed, false)
  t.ok(isOpenOn(properties(stream).fd as number, file))
  stream.destroy()
  await closing(stream)
})

streamTest('bytesWritten counts bytes, not characters, from 0 to all', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'), { start: 100 })
  t.equal(stream.bytesWritten, 0)
  await writeOne(stream, 'ä€')
  t.equal(stream.bytesWritten, 5)
  let written = 5
  for (const size of [1, 0, 70_000, 300_000]) {
    const content = patterned(size)
    written += size
    await writeOne(stream, content)
    t.equal(stream.bytesWritten, written)
  }
  await endAndClose(stream)
  t.equal(stream.bytesWritten, written)
})

streamTest('bytesWritten holds at least the bytes of every callback that was called', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'), { highWaterMark: 1000 })
  let called = 0
  let least = Infinity
  for (let i = 0; i < 100; i++) {
    stream.write(patterned(337), () => {
      called += 337
      least = Math.min(least, stream.bytesWritten - called)
    })
  }
  await endAndClose(stream)
  t.ok(least >= 0)
  t.equal(called, 33_700)
  t.equal(stream.bytesWritten, 33_700)
})

streamTest('the states of a Writable are told', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  t.match(stream, {
    writable: true, writableEnded: false, writableFinished: false, writableLength: 0, writableCorked: 0,
    writableObjectMode: false, writableNeedDrain: false, destroyed: false, closed: false, errored: null,
  })
  stream.end('content')
  t.match(stream, { writable: false, writableEnded: true, writableFinished: false, writableLength: 7 })
  await next(stream, 'finish')
  t.match(stream, { writableFinished: true, writableLength: 0 })
  await closing(stream)
  t.match(stream, { writable: false, writableEnded: true, writableFinished: true, destroyed: true, closed: true, errored: null })
})

streamTest('a stream that was destroyed early tells that it was aborted, and why', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  const reason = new Error('enough')
  stream.write('content')
  stream.destroy(reason)
  t.equal(await closing(stream), reason)
  t.match(stream, { writableAborted: true, writableFinished: false, destroyed: true, closed: true })
  t.equal(stream.errored, reason)
})
