import fs, { closeSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream'
import { createUringWriteStream } from '../../lib/index.js'
import { isOpenOn, notLinux, streamTest } from '../helpers/descriptors.js'
import { publicDirectory, runAsOtherUser } from '../helpers/other-user.js'
import { closing, endAndClose, failingWrite, next, recordErrors, recordEvents, shapeOf, thrown, turns, writeOne } from '../helpers/stream-events.js'

const NAMES = ['open', 'ready', 'drain', 'finish', 'error', 'close']
const TYPE = 'ERR_INVALID_ARG_TYPE'
const VALUE = 'ERR_INVALID_ARG_VALUE'
const RANGE = 'ERR_OUT_OF_RANGE'

streamTest('a wrong option throws at once, with the code, the type and the words that fs gives', async t => {
  const cases: [string, unknown, string][] = [
    ['start', -1, RANGE], ['start', 1.5, RANGE], ['start', NaN, RANGE], ['start', Infinity, RANGE],
    ['start', 2 ** 53, RANGE], ['start', '4', TYPE], ['start', '4'.repeat(29), TYPE], ['start', null, TYPE],
    ['fd', -1, RANGE], ['fd', 1.5, RANGE], ['fd', 2 ** 31, RANGE], ['fd', 'x', TYPE], ['fd', {}, TYPE], ['fd', true, TYPE],
    ['encoding', 'no-such', VALUE], ['highWaterMark', -1, VALUE], ['highWaterMark', 1.5, VALUE],
    ['highWaterMark', 'x', VALUE], ['signal', {}, TYPE], ['flush', 'yes', TYPE], ['flush', 1, TYPE],
    ['fs', { open: 1, write: fs.write, close: fs.close }, TYPE], ['fs', { open: fs.open, close: fs.close }, TYPE],
    ['fs', { open: fs.open, write: fs.write }, TYPE], ['fs', { open: fs.open, write: 1, close: fs.close }, TYPE],
    ['fs', { open: fs.open, writev: 1, close: fs.close }, TYPE],
  ]
  const file = join(t.testdir({ file: 'content' }), 'file')
  for (const [name, value, code] of cases) {
    const options = { [name]: value } as never
    const expected = thrown(() => fs.createWriteStream(file, options))
    t.equal(expected?.code, code, `fs throws ${code} for ${name} ${String(value)}`)
    const error = thrown(() => createUringWriteStream(file, options))
    t.match(error, { code, name: expected?.name, message: expected?.message }, `${name} ${String(value)}`)
  }
  await turns(20) // nor is there a stream that opens it later
  t.equal(readFileSync(file, 'utf8'), 'content', 'the file was not emptied')
})

streamTest('a wrong path or wrong options throw at once', async t => {
  const cases: [unknown, string][] = [
    [5, TYPE], [null, TYPE], [undefined, TYPE], [{}, TYPE], ['a\0b', VALUE], [Buffer.from('a\0b'), VALUE],
    [new URL('http://host/file'), 'ERR_INVALID_URL_SCHEME'], [new URL('file:///a%2Fb'), 'ERR_INVALID_FILE_URL_PATH'],
  ]
  for (const [path, code] of cases) {
    t.equal(thrown(() => fs.createWriteStream(path as string))?.code, code, `fs throws ${code}`)
    t.equal(thrown(() => createUringWriteStream(path as string))?.code, code, `for ${String(path)}`)
  }
  for (const options of [5, true]) {
    t.equal(thrown(() => createUringWriteStream('file', options as never))?.code, TYPE)
  }
  t.equal(thrown(() => createUringWriteStream('file', 'no-such' as never))?.code, VALUE)
})

streamTest('an open that fails gives the very error of fs: code, errno, syscall, path and message', async t => {
  const dir = t.testdir({ file: 'content' })
  symlinkSync('loop', join(dir, 'loop'))
  const cases: [string | Buffer | URL, string, string][] = [
    [join(dir, 'missing', 'file'), 'w', 'ENOENT'],
    [Buffer.from(join(dir, 'missing', 'file')), 'w', 'ENOENT'],
    [new URL(`file://${dir}/missing/file`), 'w', 'ENOENT'],
    [join(dir, 'missing'), 'r+', 'ENOENT'],
    [join(dir, 'file', 'below'), 'w', 'ENOTDIR'],
    [join(dir, 'x'.repeat(300)), 'w', 'ENAMETOOLONG'],
    [join(dir, 'loop'), 'w', 'ELOOP'],
    [join(dir, 'file'), 'wx', 'EEXIST'],
    [dir, 'w', 'EISDIR'],
  ]
  for (const [path, flags, code] of cases) {
    const expected = await closing(fs.createWriteStream(path, { flags }))
    const stream = createUringWriteStream(path, { flags })
    const seen = recordEvents(stream, NAMES)
    const error = await closing(stream)
    t.equal(error?.code, code)
    t.same(shapeOf(error), shapeOf(expected), `${code} for ${String(path).slice(-20)}`)
    t.same(seen, ['error', 'close'])
    t.match(stream, { destroyed: true, closed: true, pending: true, bytesWritten: 0, errored: error })
  }
})

streamTest('writes that wait for an open which fails are called back with an error', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'missing', 'file'))
  const results = [writeOne(stream, 'one'), writeOne(stream, 'two')]
  const ended = new Promise<NodeJS.ErrnoException | undefined>(resolve => {
    stream.end((error?: NodeJS.ErrnoException) => resolve(error))
  })
  t.equal((await closing(stream))?.code, 'ENOENT')
  t.same((await Promise.all(results)).map(error => error?.code), ['ENOENT', 'ENOENT'])
  t.equal((await ended)?.code, 'ENOENT')
})

streamTest('a file that this user may not write gives EACCES', async t => {
  const file = join(publicDirectory(t), 'guarded')
  writeFileSync(file, 'content', { mode: 0o444 })
  const { error, expected, events } = await runAsOtherUser(t, 'write', file)
  t.match(error, { code: 'EACCES', syscall: 'open', path: file })
  t.same(error, expected)
  t.same(events, ['error', 'close'])
})

streamTest('a full disk gives ENOSPC to the write and to the stream', async t => {
  const stream = createUringWriteStream('/dev/full')
  const seen = recordEvents(stream, NAMES)
  const { told, emitted: error } = await failingWrite(stream, 'content')
  t.match(error, { code: 'ENOSPC', syscall: 'write' })
  t.equal(told, error)
  const fromFs = fs.createWriteStream('/dev/full')
  fromFs.write('content')
  t.same(shapeOf(error), shapeOf(await closing(fromFs)))
  t.same(seen, ['open', 'ready', 'error', 'close'])
  t.equal(stream.bytesWritten, 0)
}, notLinux)

streamTest('after an error every write that waits is called back with an error, in order', async t => {
  const stream = createUringWriteStream('/dev/full', { highWaterMark: 1000 })
  const order: number[] = []
  const failed: number[] = []
  for (let i = 0; i < 20; i++) {
    stream.write(Buffer.alloc(600), error => {
      order.push(i)
      if (error) failed.push(i)
    })
  }
  const ended = new Promise<unknown>(resolve => { stream.end(resolve) })
  t.equal((await closing(stream))?.code, 'ENOSPC')
  t.ok(await ended)
  const all = Array.from({ length: 20 }, (_, i) => i)
  t.same(order, all)
  t.same(failed, all)
}, notLinux)

streamTest('an end() on a full disk gives error, close and no finish', async t => {
  const stream = createUringWriteStream('/dev/full')
  const seen = recordEvents(stream, NAMES)
  stream.end('content')
  t.equal((await closing(stream))?.code, 'ENOSPC')
  t.same(seen, ['open', 'ready', 'error', 'close'])
}, notLinux)

streamTest('autoClose false leaves the descriptor open after a failed write', async t => {
  const stream = createUringWriteStream('/dev/full', { autoClose: false })
  const fd = await next<number>(stream, 'open')
  const failed = next<NodeJS.ErrnoException>(stream, 'error')
  t.equal((await writeOne(stream, 'content'))?.code, 'ENOSPC')
  t.equal((await failed).code, 'ENOSPC')
  await turns(20)
  t.ok(isOpenOn(fd, '/dev/full'))
  t.equal(stream.destroyed, false)
  closeSync(fd)
}, notLinux)

streamTest('with autoClose false a stream that has failed is what one of fs is, and fails once', async t => {
  const outcome = async (stream: fs.WriteStream | ReturnType<typeof createUringWriteStream>) => {
    const errors = recordErrors(stream)
    await next(stream, 'open')
    const seen: object[] = []
    const state = ({ errored, writable, destroyed, writableEnded }: typeof stream) =>
      seen.push({ errored: shapeOf(errored!), writable, destroyed, writableEnded })
    stream.write('content', () => state(stream))
    await next(stream, 'error')
    state(stream)
    stream.end()
    t.equal(await new Promise<unknown>(resolve => finished(stream, resolve)), stream.errored)
    stream.destroy(new Error('second'))
    await closing(stream)
    return { errors: errors.map(shapeOf), seen }
  }
  const expected = await outcome(fs.createWriteStream('/dev/full', { autoClose: false }))
  t.match(expected, { errors: [{ code: 'ENOSPC' }], seen: [{ errored: { code: 'ENOSPC' }, writable: false }] })
  t.equal(expected.errors.length, 1)
  t.same(await outcome(createUringWriteStream('/dev/full', { autoClose: false })), expected)
}, notLinux)

streamTest('with autoClose false a full disk is no second error after a write after end()', async t => {
  const stream = createUringWriteStream('/dev/full', { autoClose: false })
  const errors = recordErrors(stream)
  await next(stream, 'open')
  const told = writeOne(stream, 'content')
  stream.end()
  stream.write('late')
  t.equal((await told)?.code, 'ENOSPC')
  await turns(20)
  t.same(errors.map(({ code }) => code), ['ERR_STREAM_WRITE_AFTER_END'])
  stream.destroy()
  await closing(stream)
}, notLinux)

streamTest('a descriptor that is not open for writing gives EBADF', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const fd = openSync(file, 'r')
  const stream = createUringWriteStream('', { fd })
  t.match(await failingWrite(stream, 'other'), { told: { code: 'EBADF', syscall: 'write' }, emitted: { code: 'EBADF' } })
  t.equal(isOpenOn(fd, file), false, 'the stream closed it')
  const byFlags = createUringWriteStream(file, { flags: 'r' })
  t.match(await failingWrite(byFlags, 'other'), { told: { code: 'EBADF' }, emitted: { code: 'EBADF' } })
  t.equal(readFileSync(file, 'utf8'), 'content')
})

streamTest('a write after end() is an error of the callback and of the stream', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  stream.end('content')
  const late = { code: 'ERR_STREAM_WRITE_AFTER_END' }
  t.match(await failingWrite(stream, 'late'), { told: late, emitted: late })
  t.not(readFileSync(file, 'utf8').includes('late'), true)
})

streamTest('a write to a destroyed stream, and a second end(), are called back with an error', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  stream.destroy()
  t.equal((await failingWrite(stream, 'late')).told?.code, 'ERR_STREAM_DESTROYED')
  const ended = createUringWriteStream(join(t.testdir(), 'file'))
  await endAndClose(ended)
  const again = await new Promise<NodeJS.ErrnoException>(resolve => ended.end(resolve as () => void))
  t.match(again.code, /^ERR_STREAM_(ALREADY_FINISHED|DESTROYED)$/)
})

streamTest('chunks that are no bytes throw, and the stream goes on', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  for (const chunk of [5, {}, [], true, undefined, Symbol('x')]) {
    t.equal(thrown(() => stream.write(chunk as never))?.code, TYPE)
  }
  t.equal(thrown(() => stream.write(null as never))?.code, 'ERR_STREAM_NULL_VALUES')
  t.equal(thrown(() => stream.write('x', 'no-such' as never))?.code, 'ERR_UNKNOWN_ENCODING')
  t.equal(thrown(() => stream.setDefaultEncoding('no-such' as never))?.code, 'ERR_UNKNOWN_ENCODING')
  stream.write('content')
  await endAndClose(stream)
  t.equal(readFileSync(file, 'utf8'), 'content')
})
