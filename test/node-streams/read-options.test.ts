import { fstatSync, readFileSync, readSync, closeSync, constants, existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream, UringReadStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned } from '../helpers/seeded.js'
import { closing, countEvents, next, onData, properties, readAll, readText, turns, until } from '../helpers/stream-events.js'

const KIB = 1024

streamTest('a file is read whole and in order, whatever its size', async t => {
  const file = join(t.testdir(), 'file')
  for (const size of [0, 1, 4095, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 256 * KIB, 256 * KIB + 1, 1024 * KIB + 3]) {
    const content = patterned(size)
    writeFileSync(file, content)
    t.ok((await readAll(createUringReadStream(file))).equals(content), `${size} bytes`)
  }
})

streamTest('the constructor takes what the function takes', async t => {
  const file = join(t.testdir({ file: 'the content' }), 'file')
  t.equal(await readText(new UringReadStream(file, { encoding: 'latin1', start: 4 })), 'content')
})

streamTest('start and end choose a range, both included', async t => {
  const content = patterned(1000)
  const file = join(t.testdir({ file: content }), 'file')
  const ranges: [number | undefined, number | undefined][] = [
    [0, 0], [0, 9], [10, 10], [10, 499], [999, 999], [500, undefined], [undefined, 0], [undefined, 499],
    [0, 999], [990, 5000], [1000, undefined], [1000, 1000], [4000, 5000], [300, Infinity], [undefined, Infinity],
    [0, Number.MAX_SAFE_INTEGER],
  ]
  for (const [start, end] of ranges) {
    for (const highWaterMark of [7, 100, 64 * KIB]) {
      const wanted = content.subarray(start ?? 0, (end ?? Infinity) + 1)
      const got = await readAll(createUringReadStream(file, { start, end, highWaterMark }))
      t.ok(got.equals(wanted), `start ${start}, end ${end}, highWaterMark ${highWaterMark}`)
    }
  }
})

streamTest('no chunk is larger than the highWaterMark that was given', async t => {
  const content = patterned(3000)
  const file = join(t.testdir({ file: content }), 'file')
  for (const highWaterMark of [1, 7, 1000, 1024]) {
    const stream = createUringReadStream(file, { highWaterMark })
    t.equal(stream.readableHighWaterMark, highWaterMark)
    let largest = 0
    onData(stream, chunk => { largest = Math.max(largest, chunk.length) })
    t.ok((await readAll(stream)).equals(content))
    t.ok(largest <= highWaterMark, `${largest} is not more than ${highWaterMark}`)
  }
})

streamTest('an encoding gives strings', async t => {
  const content = patterned(5000)
  const file = join(t.testdir({ file: content }), 'file')
  const encodings = ['utf8', 'utf-8', 'hex', 'base64', 'base64url', 'latin1', 'binary', 'ascii', 'utf16le', 'ucs2'] as const
  for (const encoding of encodings) {
    for (const highWaterMark of [501, 64 * KIB]) {
      const text = await readText(createUringReadStream(file, { encoding, highWaterMark }))
      t.equal(text, content.toString(encoding), `${encoding} in chunks of ${highWaterMark}`)
    }
  }
})

streamTest('options given as a string are the encoding', async t => {
  const file = join(t.testdir({ file: 'añ€😀' }), 'file')
  const stream = createUringReadStream(file, 'utf8')
  t.equal(stream.readableEncoding, 'utf8')
  t.equal(await readText(stream), 'añ€😀')
  t.equal(await readText(createUringReadStream(file, 'hex')), Buffer.from('añ€😀').toString('hex'))
})

streamTest('a character of several bytes stays whole across the border of two chunks', async t => {
  const text = 'añ€😀'.repeat(30)
  const utf8 = join(t.testdir({ utf8: text, utf16: Buffer.from(text, 'utf16le') }), 'utf8')
  const utf16 = join(utf8, '..', 'utf16')
  for (let highWaterMark = 1; highWaterMark <= 9; highWaterMark++) {
    t.equal(await readText(createUringReadStream(utf8, { encoding: 'utf8', highWaterMark })), text)
    t.equal(await readText(createUringReadStream(utf16, { encoding: 'utf16le', highWaterMark })), text)
  }
})

streamTest('a character cut off by the end of the range is decoded as Buffer does it', async t => {
  const bytes = Buffer.from('ab€')
  const file = join(t.testdir({ file: bytes }), 'file')
  const text = await readText(createUringReadStream(file, { encoding: 'utf8', end: 3, highWaterMark: 2 }))
  t.equal(text, bytes.subarray(0, 4).toString('utf8'))
})

streamTest('flags decide how the file is opened', async t => {
  const dir = t.testdir({ kept: 'kept', emptied: 'emptied', read: 'read' })
  const read = (name: string, flags: string | number) =>
    readAll(createUringReadStream(join(dir, name), { flags: flags as string }))
  t.equal((await read('kept', 'r+')).toString(), 'kept')
  t.equal((await read('read', constants.O_RDONLY)).toString(), 'read', 'flags may be a number')
  t.equal((await read('appended', 'a+')).toString(), '', 'a+ makes the file')
  t.equal((await read('new', 'wx+')).toString(), '', 'wx+ makes the file')
  t.equal((await read('emptied', 'w+')).toString(), '')
  t.equal(readFileSync(join(dir, 'emptied'), 'utf8'), '', 'w+ cuts the file')
  t.ok(existsSync(join(dir, 'appended')) && existsSync(join(dir, 'new')))
})

streamTest('mode is that of a file which the stream makes, less the umask', async t => {
  const dir = t.testdir()
  const umask = process.umask(0o022)
  t.teardown(() => process.umask(umask))
  await readAll(createUringReadStream(join(dir, 'usual'), { flags: 'w+' }))
  await readAll(createUringReadStream(join(dir, 'private'), { flags: 'w+', mode: 0o600 }))
  t.equal(statSync(join(dir, 'usual')).mode & 0o777, 0o644)
  t.equal(statSync(join(dir, 'private')).mode & 0o777, 0o600)
})

streamTest('autoClose false leaves the descriptor open after the end, until close()', async t => {
  const content = patterned(1000)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { autoClose: false })
  const counts = countEvents(stream, ['end', 'close'])
  t.equal(properties(stream).autoClose, false)
  const ended = next(stream, 'end')
  stream.resume()
  await ended
  await turns(20)
  t.same(counts, { end: 1, close: 0 })
  t.equal(stream.destroyed, false)
  const fd = properties(stream).fd as number
  const again = Buffer.alloc(1000)
  t.equal(readSync(fd, again, 0, 1000, 0), 1000)
  t.ok(again.equals(content), 'the descriptor can be read')
  stream.close()
  await closing(stream)
  t.equal(properties(stream).fd, null)
})

streamTest('autoClose false leaves the descriptor open after an error', async t => {
  const dir = t.testdir()
  const stream = createUringReadStream(dir, { autoClose: false })
  const failed = next<NodeJS.ErrnoException>(stream, 'error')
  stream.resume()
  t.equal((await failed).code, 'EISDIR')
  await turns(20)
  const fd = properties(stream).fd as number
  t.equal(fstatSync(fd).isDirectory(), true)
  t.equal(stream.destroyed, false)
  closeSync(fd)
})

streamTest('emitClose false closes the descriptor without the event', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file, { emitClose: false })
  const counts = countEvents(stream, ['end', 'close'])
  stream.resume()
  await until(() => stream.closed)
  await turns(20)
  t.same(counts, { end: 1, close: 0 })
  t.equal(properties(stream).fd, null)
})

streamTest('the options that were given are left as they are, and may be frozen, inherited or null', async t => {
  const file = join(t.testdir({ file: '0123456789' }), 'file')
  const frozen = Object.freeze({ start: 2, end: 5, encoding: 'utf8' as const })
  t.equal(await readText(createUringReadStream(file, frozen)), '2345')
  t.equal(await readText(createUringReadStream(file, frozen)), '2345')
  const open = { start: 2 }
  await readAll(createUringReadStream(file, open))
  t.same(open, { start: 2 })
  t.equal(await readText(createUringReadStream(file, Object.create(frozen) as typeof frozen)), '2345')
  t.equal((await readAll(createUringReadStream(file, null as never))).toString(), '0123456789')
})
