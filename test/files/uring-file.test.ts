import { once } from 'node:events'
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, Stats, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { buffer as bytesOfStream } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import t from 'tap'
import { BufferPool, open, ops, probe, Ring, UringFile } from '../../lib/index.js'
import { isOpenOn } from '../helpers/descriptors.js'
import { forget, makeFifo, makeFile } from '../helpers/files.js'
import { withLoopDevice } from '../helpers/image.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { thrown, turns, until } from '../helpers/stream-events.js'

const ring = Ring.shared()

ringTest('open fails in the shape of node:fs', async t => {
  const path = join(t.testdir(), 'missing')
  await t.rejects(open(path), { code: 'ENOENT', errno: -2, syscall: 'open', path, message: `ENOENT: no such file or directory, open '${path}'` })
  await t.rejects(open(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.rejects(open('a\0b'), { code: 'ERR_INVALID_ARG_VALUE' })
  await t.rejects(open(path, 'rubbish'), { code: 'ERR_INVALID_ARG_VALUE' })
  await t.rejects(open(path, 'w', { mode: 'rubbish' }), { code: 'ERR_INVALID_ARG_VALUE' })
  await t.rejects(open(path, 'w', { ring: {} as never }), { code: 'ERR_INVALID_ARG_TYPE' })
})

ringTest('open makes a file with flags and mode', async t => {
  const path = join(t.testdir(), 'new')
  const file = await open(path, 'wx+', { mode: 0o600 })
  t.ok(file instanceof UringFile)
  t.equal(fstatSync(file.fd).ino, statSync(path).ino)
  t.equal(statSync(path).mode & 0o777, 0o600)
  await file.close()
  await t.rejects(open(path, 'wx'), { code: 'EEXIST' })
})

ringTest('open takes a mode as fs.promises.open does, and null as it does', async t => {
  const dir = t.testdir()
  const before = process.umask(0)
  t.teardown(() => process.umask(before))
  for (const [name, mode, made] of [['number', 0o600, 0o600], ['string', '640', 0o640], ['null', null, 0o666]] as const) {
    const path = join(dir, name)
    const file = await open(path, 'w', mode)
    await file.close()
    t.equal(statSync(path).mode & 0o777, made, name)
    await (await open(path, null)).close()
  }
  await t.rejects(open(join(dir, 'new'), 'w', '9'), { code: 'ERR_INVALID_ARG_VALUE' })
  await t.rejects(open(join(dir, 'new'), 'w', true as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

ringTest('close waits for what is in flight, and takes nothing new', async t => {
  const path = makeFifo(join(t.testdir(), 'fifo'))
  const file = await open(path, 'r+')
  const { fd } = file
  const writer = openSync(path, 'r+')
  const read = file.read(Buffer.alloc(4), 0, 4, null)
  await until(() => ring.stats().inFlight > 0)
  let closed = false
  const closing = file.close().then(() => { closed = true })
  await turns(5)
  t.notOk(closed)
  t.ok(isOpenOn(fd, path), 'the file is open')
  await t.rejects(file.read(Buffer.alloc(1)), { code: 'EBADF' })
  t.throws(() => file.readableStream(), { code: 'ERR_INVALID_STATE' })
  writeSync(writer, 'late')
  const { bytesRead, buffer } = await read
  t.equal(buffer.toString('utf8', 0, bytesRead), 'late')
  await closing
  t.notOk(isOpenOn(fd, path))
  t.equal(file.fd, -1)
  const other = await open(path, 'r+')
  await other.close()
  await ring.submit(ops.close(writer))
})

ringTest('close waits for all of a write that is several operations', async t => {
  const path = join(t.testdir(), 'file')
  const pieces = Array.from({ length: 3000 }, (_, i) => Buffer.alloc(10, i))
  for (const position of [null, 0]) {
    const file = await open(path, 'w')
    const written = file.writev(pieces, position)
    await file.close()
    t.equal((await written).bytesWritten, 30_000)
    t.ok(readFileSync(path).equals(Buffer.concat(pieces)), `at ${position}`)
  }
})

ringTest('every method of a closed file rejects with EBADF', async t => {
  const file = await open(join(t.testdir(), 'file'), 'w+')
  const pool = new BufferPool(ring, { bufferSize: 4096, count: 1 })
  const fixed = await pool.acquire()
  await file.close()
  const bytes = Buffer.alloc(4)
  const calls: Record<string, () => Promise<unknown>> = {
    read: () => file.read(bytes), 'empty read': () => file.read(bytes, 0, 0), write: () => file.write(bytes),
    'empty write': () => file.write(Buffer.alloc(0)), 'write of text': () => file.write('text'),
    readv: () => file.readv([bytes]), writev: () => file.writev([bytes]), 'empty writev': () => file.writev([]),
    readFixed: () => file.readFixed(fixed), writeFixed: () => file.writeFixed(fixed), sync: () => file.sync(),
    datasync: () => file.datasync(), truncate: () => file.truncate(1), allocate: () => file.allocate(0, 1), stat: () => file.stat()
  }
  for (const [name, call] of Object.entries(calls)) await t.rejects(call(), { code: 'EBADF', errno: -9 }, name)
  await t.rejects(file.readv([bytes]), { code: 'EBADF', message: /, readv$/ }, 'named by what was not done')
  await t.rejects(file.stat(), { code: 'EBADF', message: /, fstat$/ })
  t.throws(() => file.createReadStream(), { code: 'ERR_OUT_OF_RANGE' }, 'as a FileHandle that is closed')
  for (const name of ['readableWebStream', 'readableStream', 'writableStream'] as const) t.throws(() => file[name](), { code: 'ERR_INVALID_STATE' }, name)
  await t.resolves(file.close(), 'closing again')
  fixed.release()
  pool.close()
})

ringTest('closing twice is closing once, and emits close once', async t => {
  const file = await open(join(t.testdir(), 'file'), 'w')
  let events = 0
  file.on('close', () => {
    events++
    void file.close() // as a listener may
  })
  const { completed } = ring.stats()
  const [first, second] = [file.close(), file.close()]
  t.equal(first, second)
  await first
  await file.close()
  t.equal(events, 1)
  // Where the kernel's own close returns too early a thread does it, past the ring.
  t.equal(ring.stats().completed, completed + (probe().features?.closesByRing === false ? 0 : 1))
})

ringTest('Symbol.asyncDispose closes', async t => {
  const path = join(t.testdir(), 'file')
  const file = await open(path, 'w')
  const { fd } = file
  await file[Symbol.asyncDispose]()
  t.notOk(isOpenOn(fd, path))
  await file[Symbol.asyncDispose]()
})

ringTest('a ring does not close while a file is open on it', async t => {
  const own = new Ring()
  const file = await open(join(t.testdir(), 'file'), 'w', { ring: own })
  t.equal(file.ring, own)
  await t.rejects(own.close(), { code: 'ERR_INVALID_STATE' })
  await file.write('still')
  const closing = file.close()
  await own.close() // waits for it
  await closing
})

ringTest('stat gives fs.Stats', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 12_345)
  const file = await open(path)
  const stats = await file.stat()
  t.ok(stats instanceof Stats && stats.isFile())
  t.same({ ...stats }, { ...statSync(path) })
  t.same({ ...await file.stat({ bigint: true }) }, { ...statSync(path, { bigint: true }) })
  t.same({ ...await file.stat({ bigint: false }) }, { ...stats })
  await file.close()
})

ringTest('a position of null goes on from the last one, in every method', async t => {
  const path = join(t.testdir(), 'file')
  const file = await open(path, 'w+')
  await file.write('one ')
  await file.write(Buffer.from('two '), 0, 4, null)
  await file.writev([Buffer.from('th'), Buffer.from('ree ')], null)
  await file.write('NOT HERE'.slice(0, 3), 0) // leaves the position alone
  await file.write('four', -1)
  t.equal(readFileSync(path, 'utf8'), 'NOT two three four')
  await file.close()
  const reader = await open(path)
  const text = async (length: number): Promise<string> => {
    const { buffer, bytesRead } = await reader.read(Buffer.alloc(length))
    return buffer.toString('utf8', 0, bytesRead)
  }
  t.equal(await text(4), 'NOT ')
  const vector = [Buffer.alloc(2), Buffer.alloc(2)]
  await reader.readv(vector)
  t.equal(Buffer.concat(vector).toString(), 'two ')
  await reader.read(Buffer.alloc(4), 0, 4, 0)
  t.equal(await text(100), 'three four')
  t.equal(await text(100), '')
  await reader.close()
})

ringTest('reads and writes at once without a position meet nowhere, also of a file that is not in the page cache', async t => {
  const size = 64 * 1024
  const count = 32
  const path = join(t.testdir(), 'file')
  writeFileSync(path, Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.alloc(size, i))))
  forget(path)
  const file = await open(path, 'r+')
  const numbers = await Promise.all(Array.from({ length: count }, async (_, i) => {
    if (i % 4 === 3) return void await file.write(Buffer.alloc(size, 200))
    const buffer = Buffer.alloc(size)
    const { bytesRead } = i % 4 === 0 ? await file.readv([buffer]) : await file.read(buffer)
    t.ok(bytesRead === size && buffer.equals(Buffer.alloc(size, buffer[0])))
    return buffer[0]
  }))
  t.equal((await file.read(Buffer.alloc(1))).bytesRead, 0, 'it stands at its end')
  const after = readFileSync(path)
  const unwritten = Array.from({ length: count }, (_, i) => after[i * size]).filter(each => each !== 200)
  const read = numbers.filter(each => each !== undefined)
  t.same(read.sort((a, b) => a - b), unwritten, 'each place was either read or written, once')
  await file.close()
})

ringTest('so do those of a block device', async t => {
  const size = 64 * 1024
  const count = 32
  const numbers = Array.from({ length: count }, (_, i) => i)
  await withLoopDevice(t, Buffer.alloc(count * size), 512, async device => {
    const writer = await open(device, 'r+')
    await Promise.all(numbers.map(each => writer.write(Buffer.alloc(size, each))))
    await writer.sync()
    await writer.close()
    const reader = await open(device)
    const reads = await Promise.all(numbers.map(() => reader.read(Buffer.alloc(size))))
    t.same(reads.map(({ buffer }) => buffer[0]), numbers)
    await reader.close()
  })
}, notUring) // to read(2) and write(2) no place is its own there

ringTest('a read without a position that is ended while it waits for another changes nothing', async t => {
  const path = join(t.testdir(), 'file')
  writeFileSync(path, patterned(300))
  const file = await open(path)
  const controller = new AbortController()
  const reads = [{}, { signal: controller.signal }, {}].map(options => file.read(Buffer.alloc(100), options))
  controller.abort()
  const [first, second, third] = await Promise.allSettled(reads)
  const bytes = [first, third].map(each => (each as PromiseFulfilledResult<{ buffer: Buffer }>).value.buffer)
  t.ok(Buffer.concat(bytes).equals(patterned(300).subarray(0, 200)))
  t.match(second, { reason: { name: 'AbortError' } })
  await file.close()
}, notUring) // threads have begun it

ringTest('appending goes to the end wherever it is told to go', async t => {
  const path = join(t.testdir(), 'file')
  writeFileSync(path, 'begin')
  const file = await open(path, 'a')
  await file.write(' more', 0)
  t.equal(readFileSync(path, 'utf8'), 'begin more')
  await file.close()
})

ringTest('a write that stops in the middle tells how much is written', async t => {
  const path = makeFifo(join(t.testdir(), 'fifo'))
  const file = await open(path, 'r+')
  const controller = new AbortController()
  const words = patterned(100_000)
  const writing = file.write(words, { signal: controller.signal }).catch(error => error)
  // The FIFO is full when there is a first byte. Old kernels (5.10) wait within one write then, newer ones have ended it short.
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  await until(() => thrown(() => readSync(reader, Buffer.alloc(1))) === undefined)
  closeSync(reader)
  controller.abort()
  const { code, bytesWritten } = await writing
  t.equal(code, 'ABORT_ERR')
  t.ok(bytesWritten > 0 && bytesWritten < words.length)
  const { bytesRead, buffer } = await file.read(Buffer.alloc(words.length))
  t.ok(buffer.subarray(0, bytesRead).equals(words.subarray(1, bytesWritten)))
  await file.close()
}, notUring)

ringTest('a stream from a file reads a range and closes the file', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 1_000_000)
  const file = await open(path)
  const { fd } = file
  t.ok((await bytesOfStream(file.createReadStream({ start: 1000, end: 899_999, autoClose: false }))).equals(content.subarray(1000, 900_000)))
  t.ok(isOpenOn(fd, path), 'not with autoClose: false')
  t.equal((await file.read(Buffer.alloc(10), 0, 10, 0)).bytesRead, 10)
  const stream = file.createReadStream({ start: 0 })
  const closed = once(file, 'close')
  t.ok((await bytesOfStream(stream)).equals(content))
  await closed
  await file.close()
  t.notOk(isOpenOn(fd, path))
})

ringTest('a stream to a file writes and closes it', async t => {
  const path = join(t.testdir(), 'file')
  const file = await open(path, 'w+')
  const { fd } = file
  const words = patterned(700_000)
  const stream = file.createWriteStream({ start: 5 })
  stream.end(words)
  await finished(stream)
  await file.close()
  t.notOk(isOpenOn(fd, path))
  t.ok(readFileSync(path).equals(Buffer.concat([Buffer.alloc(5), words])))
})

ringTest('a stream with autoClose: false leaves the file open when it has finished', async t => {
  const path = join(t.testdir(), 'file')
  const file = await open(path, 'w+')
  const { fd } = file
  const stream = file.createWriteStream({ autoClose: false })
  stream.end('stream ')
  await finished(stream)
  t.ok(isOpenOn(fd, path))
  await file.write('file', 7)
  t.equal(readFileSync(path, 'utf8'), 'stream file')
  stream.destroy() // it counts among the file's users until then, as with a FileHandle
  await file.close()
  t.notOk(isOpenOn(fd, path))
})

ringTest('such a stream that has finished or failed keeps no file from being closed', async t => {
  const path = join(t.testdir({ file: 'content' }), 'file')
  for (const [flags, event] of [['r+', 'finish'], ['r', 'error']]) {
    const file = await open(path, flags)
    const { fd } = file
    const stream = file.createWriteStream({ autoClose: false })
    const over = new Promise(resolve => stream.once(event, resolve))
    stream.end('x')
    await over
    const closed = once(stream, 'close')
    await file.close()
    await closed
    t.notOk(isOpenOn(fd, path))
  }
})

ringTest('files are installed in the table of the ring they are opened on', async t => {
  const directory = t.testdir()
  await withRing(t, {}, async ring => {
    const file = await open(join(directory, 'file'), 'w', { ring })
    t.equal(ring.stats().filesInUse, 1)
    await file.close()
    t.equal(ring.stats().filesInUse, 0)
  })
})

t.test('a file works on libuv threads too', async t => {
  const path = join(t.testdir(), 'file')
  const own = new Ring({ engine: 'threads' })
  const file = await open(path, 'w+', { ring: own })
  const words = patterned(10_000)
  await file.write(words)
  await file.writev([words, words], 10_000)
  const parts = [Buffer.alloc(7000), Buffer.alloc(50_000)]
  t.equal((await file.readv(parts, 0)).bytesRead, 30_000)
  t.ok(Buffer.concat(parts).subarray(0, 30_000).equals(Buffer.concat([words, words, words])))
  await file.datasync()
  await file.truncate(5)
  t.equal((await file.stat()).size, 5)
  await file.close()
  await own.close()
})
