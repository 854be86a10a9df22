import { ReadStream, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { createUringReadStream, UringReadStream } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { patterned } from '../helpers/seeded.js'
import { closing, next, onData, properties, readAll } from '../helpers/stream-events.js'

streamTest('a stream is a Readable of node:stream', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  t.ok(stream instanceof UringReadStream)
  t.ok(stream instanceof Readable)
  t.equal(Readable.isDisturbed(stream), false)
  await readAll(stream)
  t.equal(Readable.isDisturbed(stream), true)
})

// Programs ask for that before they look for the size of its file: AWS's PutObject, and got before its version 12.
streamTest('a stream is an instance of fs.ReadStream, and none of its methods is that of fs', async t => {
  const stream = createUringReadStream(join(t.testdir({ file: 'content' }), 'file'))
  t.ok(stream instanceof ReadStream)
  const theirs = Object.entries(Object.getOwnPropertyDescriptors(ReadStream.prototype))
  for (const [name, { value, get }] of theirs) {
    let holder: object = stream
    while (!Object.hasOwn(holder, name)) holder = Object.getPrototypeOf(holder)
    const ours = Object.getOwnPropertyDescriptor(holder, name)!
    t.ok(holder !== ReadStream.prototype && (ours.value !== value || ours.get !== get), name)
  }
  t.equal((await readAll(stream)).toString(), 'content')
})

streamTest('path is the string or the Buffer that was given', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const byString = createUringReadStream(file)
  t.equal(byString.path, file)
  t.equal((await readAll(byString)).toString(), 'content')
  const buffer = Buffer.from(file)
  const byBuffer = createUringReadStream(buffer)
  t.equal(byBuffer.path, buffer)
  t.equal((await readAll(byBuffer)).toString(), 'content')
})

streamTest('a file URL becomes a path', async t => {
  const file = join(t.testdir({ 'ä b%#?.txt': 'content' }), 'ä b%#?.txt')
  const stream = createUringReadStream(pathToFileURL(file))
  t.equal(stream.path, file)
  t.equal((await readAll(stream)).toString(), 'content')
})

streamTest('a Buffer as path may hold bytes that are not UTF-8', async t => {
  const dir = t.testdir({ file: 'content' })
  const odd = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe, 0x41])])
  renameSync(join(dir, 'file'), odd)
  t.same(readdirSync(dir, 'buffer'), [Buffer.from([0xff, 0xfe, 0x41])])
  t.equal((await readAll(createUringReadStream(odd))).toString(), 'content')
})

streamTest('a relative path is looked up where the process is', async t => {
  const dir = t.testdir({ file: 'content' })
  const before = process.cwd()
  process.chdir(dir)
  t.teardown(() => process.chdir(before))
  t.equal((await readAll(createUringReadStream('file'))).toString(), 'content')
})

streamTest('fd is null, then the descriptor, then null; pending is its opposite', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  t.equal(properties(stream).fd, null)
  t.equal(stream.pending, true)
  const fd = await next<number>(stream, 'open')
  t.type(fd, 'number')
  t.equal(properties(stream).fd, fd)
  t.equal(stream.pending, false)
  t.ok(isOpenOn(fd, file), 'fd is a descriptor of the file')
  stream.resume()
  await closing(stream)
  t.equal(properties(stream).fd, null)
  t.equal(stream.pending, true)
})

streamTest('flags, mode, start, end and autoClose tell what was given, or the defaults', async t => {
  const file = join(t.testdir({ file: '0123456789' }), 'file')
  const usual = createUringReadStream(file)
  t.match(properties(usual), { flags: 'r', mode: 0o666, end: Infinity, autoClose: true })
  t.equal(properties(usual).start, undefined)
  await readAll(usual)
  const given = createUringReadStream(file, { flags: 'r+', mode: 0o600, start: 2, end: 5 })
  const wanted = { flags: 'r+', mode: 0o600, start: 2, end: 5, autoClose: true }
  t.match(properties(given), wanted)
  await readAll(given)
  t.match(properties(given), wanted, 'they stay when the stream has closed')
})

streamTest('autoClose may be changed after construction', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  properties(stream).autoClose = false
  const ended = next(stream, 'end')
  stream.resume()
  await ended
  t.equal(stream.destroyed, false)
  t.ok(isOpenOn(properties(stream).fd as number, file))
  stream.destroy()
  await closing(stream)
})

streamTest('bytesRead starts at 0 and ends as the number of bytes of the range', async t => {
  const file = join(t.testdir({ file: patterned(10_000) }), 'file')
  for (const [options, total] of [[{}, 10_000], [{ start: 4000 }, 6000], [{ start: 10, end: 19 }, 10]] as const) {
    const stream = createUringReadStream(file, { ...options, highWaterMark: 100 })
    t.equal(stream.bytesRead, 0)
    let delivered = 0
    let fewest = Infinity
    onData(stream, chunk => {
      delivered += chunk.length
      fewest = Math.min(fewest, stream.bytesRead - delivered)
    })
    await closing(stream)
    t.ok(fewest >= 0, 'never less than what was delivered')
    t.equal(delivered, total)
    t.equal(stream.bytesRead, total)
  }
})

streamTest('the states of a Readable are told', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file, { encoding: 'latin1' })
  t.match(stream, {
    readable: true, readableEnded: false, readableFlowing: null, readableEncoding: 'latin1', readableObjectMode: false,
    readableLength: 0, destroyed: false, closed: false, errored: null, readableDidRead: false,
  })
  stream.resume()
  t.equal(stream.readableFlowing, true)
  await closing(stream)
  t.match(stream, {
    readable: false, readableEnded: true, readableAborted: false, readableDidRead: true,
    readableLength: 0, destroyed: true, closed: true, errored: null,
  })
})

streamTest('a stream that was destroyed early tells that it was aborted, and why', async t => {
  const file = join(t.testdir(), 'file')
  writeFileSync(file, patterned(1 << 20))
  const reason = new Error('enough')
  const stream = createUringReadStream(file, { highWaterMark: 1000 })
  stream.once('data', () => stream.destroy(reason))
  t.equal(await closing(stream), reason)
  t.match(stream, { readableAborted: true, readableEnded: false, destroyed: true, closed: true })
  t.equal(stream.errored, reason)
})

streamTest('Symbol.asyncDispose closes the stream in any state', async t => {
  const file = join(t.testdir({ file: patterned(100_000) }), 'file')
  const fresh = createUringReadStream(file)
  await fresh[Symbol.asyncDispose]()
  t.match(fresh, { destroyed: true, closed: true })
  const reading = createUringReadStream(file, { highWaterMark: 1000 })
  await next(reading, 'readable')
  await reading[Symbol.asyncDispose]()
  t.match(reading, { destroyed: true, closed: true })
  const done = createUringReadStream(file)
  await readAll(done)
  await done[Symbol.asyncDispose]()
  t.equal(done.errored, null)
})
