import fs, { closeSync, openSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream'
import { noFacts } from '../../lib/engine.js'
import { createUringReadableStream, createUringReadStream, Ring, type UringReadStream } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { publicDirectory, runAsOtherUser } from '../helpers/other-user.js'
import { closing, next, recordErrors, recordEvents, shapeOf, thrown } from '../helpers/stream-events.js'

const NAMES = ['open', 'ready', 'data', 'end', 'error', 'close']
const TYPE = 'ERR_INVALID_ARG_TYPE'
const VALUE = 'ERR_INVALID_ARG_VALUE'
const RANGE = 'ERR_OUT_OF_RANGE'

streamTest('a wrong option throws at once, with the code, the type and the words that fs gives', async t => {
  const cases: [string, unknown, string][] = [
    ['start', -1, RANGE], ['start', 1.5, RANGE], ['start', NaN, RANGE], ['start', Infinity, RANGE],
    ['start', 2 ** 53, RANGE], ['start', '4', TYPE], ['start', '4'.repeat(29), TYPE], ['start', null, TYPE], ['start', 4n, TYPE],
    ['end', -1, RANGE], ['end', 1.5, RANGE], ['end', NaN, RANGE], ['end', -Infinity, RANGE],
    ['end', 2 ** 53, RANGE], ['end', '4', TYPE], ['end', null, TYPE],
    ['fd', -1, RANGE], ['fd', 1.5, RANGE], ['fd', 2 ** 31, RANGE], ['fd', 'x', TYPE], ['fd', {}, TYPE], ['fd', true, TYPE],
    ['encoding', 'no-such', VALUE], ['highWaterMark', -1, VALUE], ['highWaterMark', 1.5, VALUE],
    ['highWaterMark', 'x', VALUE], ['signal', {}, TYPE], ['signal', 'x', TYPE],
    ['fs', { open: 1, read: fs.read, close: fs.close }, TYPE], ['fs', { open: fs.open, close: fs.close }, TYPE],
    ['fs', { open: fs.open, read: fs.read }, TYPE],
  ]
  const file = join(t.testdir({ file: 'content' }), 'file')
  for (const [name, value, code] of cases) {
    const options = { [name]: value } as never
    const expected = thrown(() => fs.createReadStream(file, options))
    t.equal(expected?.code, code, `fs throws ${code} for ${name} ${String(value)}`)
    const error = thrown(() => createUringReadStream(file, options))
    t.match(error, { code, name: expected?.name, message: expected?.message }, `${name} ${String(value)}`)
  }
})

streamTest('start after end throws, but equal they are one byte', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const error = thrown(() => createUringReadStream(file, { start: 5, end: 4 }))
  t.equal(error?.code, RANGE)
  t.match(error?.message, /"start"/)
  const stream = createUringReadStream(file, { start: 5, end: 5 })
  t.equal((await next<Buffer>(stream, 'data')).toString(), 'n')
  await closing(stream)
})

streamTest('a wrong path throws at once', async t => {
  const cases: [unknown, string][] = [
    [5, TYPE], [null, TYPE], [undefined, TYPE], [{}, TYPE], [true, TYPE], [Symbol('x'), TYPE],
    ['a\0b', VALUE], [Buffer.from('a\0b'), VALUE],
    [new URL('http://host/file'), 'ERR_INVALID_URL_SCHEME'],
    [new URL('file://host/file'), 'ERR_INVALID_FILE_URL_HOST'],
    [new URL('file:///a%2Fb'), 'ERR_INVALID_FILE_URL_PATH'],
    [new URL('file:///a%00b'), VALUE],
  ]
  for (const [path, code] of cases) {
    t.equal(thrown(() => fs.createReadStream(path as string))?.code, code, `fs throws ${code}`)
    t.equal(thrown(() => createUringReadStream(path as string))?.code, code, `for ${String(path)}`)
  }
})

streamTest('options that are neither a string nor an object throw', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  for (const options of [5, true, Symbol('x')]) {
    t.equal(thrown(() => createUringReadStream(file, options as never))?.code, TYPE)
  }
  t.equal(thrown(() => createUringReadStream(file, 'no-such' as never))?.code, VALUE)
})

streamTest('unknown flags are an error of the stream, not thrown', async t => {
  const stream = createUringReadStream(join(t.testdir({ file: 'content' }), 'file'), { flags: 'zz' })
  const seen = recordEvents(stream, NAMES)
  t.equal((await closing(stream))?.code, VALUE)
  t.same(seen, ['error', 'close'])
})

streamTest('an open that fails gives the very error of fs: code, errno, syscall, path and message', async t => {
  const dir = t.testdir({ file: 'content' })
  symlinkSync('loop', join(dir, 'loop'))
  const cases: [string | Buffer | URL, string, string][] = [
    [join(dir, 'missing'), 'r', 'ENOENT'],
    [join(dir, 'missing ä'), 'r', 'ENOENT'],
    [Buffer.from(join(dir, 'missing')), 'r', 'ENOENT'],
    [new URL(`file://${dir}/missing`), 'r', 'ENOENT'],
    ['', 'r', 'ENOENT'],
    [join(dir, 'file', 'below'), 'r', 'ENOTDIR'],
    [join(dir, 'x'.repeat(300)), 'r', 'ENAMETOOLONG'],
    [join(dir, 'loop'), 'r', 'ELOOP'],
    [join(dir, 'file'), 'wx+', 'EEXIST'],
    [dir, 'r+', 'EISDIR'],
  ]
  for (const [path, flags, code] of cases) {
    const expected = await closing(fs.createReadStream(path, { flags }))
    const stream = createUringReadStream(path, { flags })
    const seen = recordEvents(stream, NAMES)
    const error = await closing(stream)
    t.equal(error?.code, code)
    t.same(shapeOf(error), shapeOf(expected), `${code} for ${String(path).slice(-20)}`)
    t.same(seen, ['error', 'close'])
    t.match(stream, { destroyed: true, closed: true, pending: true, bytesRead: 0, errored: error })
  }
})

streamTest('a directory gives the very error of fs when it is read', async t => {
  const dir = t.testdir()
  const expected = await closing(fs.createReadStream(dir).resume())
  const error = await closing(createUringReadStream(dir).resume())
  t.match(error, { code: 'EISDIR', syscall: 'read' })
  t.same(shapeOf(error), shapeOf(expected))
})

streamTest('with autoClose false a stream that has failed is what one of fs is, and fails once', async t => {
  const dir = t.testdir()
  const outcome = async (stream: fs.ReadStream | UringReadStream) => {
    const errors = recordErrors(stream)
    await next(stream.resume(), 'error')
    const { errored, readable, destroyed, readableAborted } = stream
    const told = await new Promise<unknown>(resolve => finished(stream, resolve))
    t.equal(told, errored)
    stream.destroy(new Error('second'))
    await closing(stream)
    return { errors: errors.map(shapeOf), errored: shapeOf(errored!), readable, destroyed, readableAborted }
  }
  const expected = await outcome(fs.createReadStream(dir, { autoClose: false }))
  t.match(expected, { errors: [{ code: 'EISDIR' }], readable: false, destroyed: false })
  t.same(await outcome(createUringReadStream(dir, { autoClose: false })), expected)
})

streamTest('a file that this user may not read gives EACCES', async t => {
  const file = join(publicDirectory(t), 'secret')
  writeFileSync(file, 'content', { mode: 0 })
  const { error, expected, events } = await runAsOtherUser(t, 'read', file)
  t.match(error, { code: 'EACCES', syscall: 'open', path: file })
  t.same(error, expected)
  t.same(events, ['error', 'close'])
})

streamTest('a descriptor that is not open for reading gives EBADF', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const fd = openSync(file, 'a')
  const stream = createUringReadStream('', { fd })
  const seen = recordEvents(stream, NAMES)
  t.match(await closing(stream), { code: 'EBADF', syscall: 'read' })
  t.same(seen, ['error', 'close'])
  t.equal(isOpenOn(fd, file), false, 'the stream closed it')
  const byFlags = createUringReadStream(file, { flags: 'a' })
  t.equal((await closing(byFlags.resume()))?.code, 'EBADF')
})

streamTest('a descriptor that is not open gives EBADF', async t => {
  const fd = openSync(join(t.testdir({ file: 'content' }), 'file'), 'r')
  closeSync(fd)
  const stream = createUringReadStream('', { fd })
  const seen = recordEvents(stream, NAMES)
  t.equal((await closing(stream))?.code, 'EBADF')
  t.same(seen, ['error', 'close'])
})

streamTest('a file that cannot be looked at, as where a sandbox forbids it, is closed again', async t => {
  const path = join(t.testdir({ file: 'x' }), 'file')
  const ring = new Ring()
  const refusal = Object.assign(new Error('EPERM: operation not permitted, fstat'), { code: 'EPERM' })
  ring.engine.inspect = (_fd, done) => done(refusal, noFacts)
  t.equal(await closing(createUringReadStream(path, { ring })), refusal)
  await t.rejects(createUringReadableStream(path, { ring }).getReader().read(), { code: 'EPERM' })
  await ring.close()
})
