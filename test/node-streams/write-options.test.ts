import { constants, existsSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createUringWriteStream, UringWriteStream } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, countEvents, endAndClose, next, properties, turns, until, writeOne } from '../helpers/stream-events.js'

streamTest('the default makes a new file, or empties the one that is there', async t => {
  const dir = t.testdir({ old: 'much more than is written' })
  for (const name of ['old', 'new']) {
    const stream = createUringWriteStream(join(dir, name))
    stream.write('content')
    await endAndClose(stream)
    t.equal(readFileSync(join(dir, name), 'utf8'), 'content')
  }
})

streamTest('the constructor takes what the function takes', async t => {
  const file = join(t.testdir({ file: '0123456789' }), 'file')
  const stream = new UringWriteStream(file, { flags: 'r+', start: 4, encoding: 'latin1' })
  stream.write('é')
  await endAndClose(stream)
  t.equal(readFileSync(file, 'latin1'), '0123é56789')
})

streamTest('a stream that is ended without a write makes an empty file', async t => {
  const dir = t.testdir({ old: 'content' })
  for (const name of ['old', 'new']) {
    await endAndClose(createUringWriteStream(join(dir, name)))
    t.equal(readFileSync(join(dir, name), 'utf8'), '')
  }
})

streamTest("flags 'a' append, also when a start is given", async t => {
  const file = join(t.testdir({ file: 'first' }), 'file')
  for (const [text, start] of [[' second', undefined], [' third', 0]] as const) {
    const stream = createUringWriteStream(file, { flags: 'a', start })
    stream.write(text)
    await endAndClose(stream)
  }
  t.equal(readFileSync(file, 'utf8'), 'first second third')
})

streamTest("many large writes with flags 'a' stay in order", async t => {
  const head = patterned(1000, 2)
  const content = patterned(4 << 20)
  const file = join(t.testdir({ file: head }), 'file')
  const stream = createUringWriteStream(file, { flags: 'a' })
  for (let at = 0; at < content.length; at += 40_009) stream.write(content.subarray(at, at + 40_009))
  await endAndClose(stream)
  t.equal(sha256(readFileSync(file)), sha256(Buffer.concat([head, content])))
})

streamTest("flags 'r+' with a start change the middle and leave the rest", async t => {
  const content = patterned(300_000)
  const change = patterned(100_000, 2)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringWriteStream(file, { flags: 'r+', start: 100_001 })
  for (let at = 0; at < change.length; at += 7001) stream.write(change.subarray(at, at + 7001))
  await endAndClose(stream)
  change.copy(content, 100_001)
  t.equal(sha256(readFileSync(file)), sha256(content))
})

streamTest("flags 'r+' without a start begin at 0", async t => {
  const file = join(t.testdir({ file: '0123456789' }), 'file')
  const stream = createUringWriteStream(file, { flags: 'r+' })
  stream.write('abc')
  await endAndClose(stream)
  t.equal(readFileSync(file, 'utf8'), 'abc3456789')
})

streamTest('a start behind the end of the file leaves zeros between', async t => {
  const dir = t.testdir({ old: 'abc' })
  for (const [name, flags, head] of [['old', 'r+', 'abc'], ['new', 'w', '']]) {
    const stream = createUringWriteStream(join(dir, name), { flags, start: 5000 })
    stream.write('late')
    await endAndClose(stream)
    const wanted = Buffer.concat([Buffer.from(head), Buffer.alloc(5000 - head.length), Buffer.from('late')])
    t.ok(readFileSync(join(dir, name)).equals(wanted))
  }
})

streamTest("flags 'wx' refuse a file that is there, and leave it alone", async t => {
  const dir = t.testdir({ old: 'content' })
  const stream = createUringWriteStream(join(dir, 'old'), { flags: 'wx' })
  stream.write('other')
  t.equal((await closing(stream))?.code, 'EEXIST')
  t.equal(readFileSync(join(dir, 'old'), 'utf8'), 'content')
  const fresh = createUringWriteStream(join(dir, 'new'), { flags: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL } as never)
  fresh.write('made')
  await endAndClose(fresh)
  t.equal(readFileSync(join(dir, 'new'), 'utf8'), 'made', 'flags may be a number')
})

streamTest('mode is that of a file which the stream makes, less the umask', async t => {
  const dir = t.testdir({ old: '' })
  const umask = process.umask(0o022)
  t.teardown(() => process.umask(umask))
  const old = statSync(join(dir, 'old')).mode
  await endAndClose(createUringWriteStream(join(dir, 'usual')))
  await endAndClose(createUringWriteStream(join(dir, 'private'), { mode: 0o600 }))
  await endAndClose(createUringWriteStream(join(dir, 'old'), { mode: 0o600 }))
  t.equal(statSync(join(dir, 'usual')).mode & 0o777, 0o644)
  t.equal(statSync(join(dir, 'private')).mode & 0o777, 0o600)
  t.equal(statSync(join(dir, 'old')).mode, old)
})

streamTest('strings are written in the encoding of the options, of setDefaultEncoding() or of the call', async t => {
  const file = join(t.testdir(), 'file')
  const text = 'ab12añ'
  for (const encoding of ['utf8', 'latin1', 'utf16le', 'hex', 'base64', 'base64url', 'ascii'] as const) {
    const valid = encoding === 'hex' ? 'ab12' : text
    const wanted = Buffer.from(valid, encoding)
    const byOption = createUringWriteStream(file, { encoding })
    byOption.write(valid)
    await endAndClose(byOption)
    t.ok(readFileSync(file).equals(wanted), `${encoding} by option`)
    const byString = createUringWriteStream(file, encoding)
    byString.write(valid)
    await endAndClose(byString)
    t.ok(readFileSync(file).equals(wanted), `${encoding} by options as a string`)
    const later = createUringWriteStream(file)
    later.write('ä')
    t.equal(later.setDefaultEncoding(encoding), later)
    later.write(valid)
    later.write('ä', 'utf8')
    await endAndClose(later)
    t.ok(readFileSync(file).equals(Buffer.concat([Buffer.from('ä'), wanted, Buffer.from('ä')])), `${encoding} by call`)
  }
})

streamTest('highWaterMark decides when write() asks for a pause', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'), { highWaterMark: 100 })
  t.equal(stream.writableHighWaterMark, 100)
  t.equal(stream.write(Buffer.alloc(60)), true)
  t.equal(stream.writableNeedDrain, false)
  t.equal(stream.writableLength, 60)
  t.equal(stream.write(Buffer.alloc(40)), false)
  t.equal(stream.writableNeedDrain, true)
  await next(stream, 'drain')
  t.equal(stream.writableNeedDrain, false)
  t.equal(stream.writableLength, 0)
  await endAndClose(stream)
})

streamTest('autoClose false leaves the descriptor open after finish, until it is destroyed', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { autoClose: false })
  const counts = countEvents(stream, ['finish', 'close'])
  const finished = next(stream, 'finish')
  stream.end('content')
  await finished
  await turns(20)
  t.same(counts, { finish: 1, close: 0 })
  t.match(properties(stream), { autoClose: false, destroyed: false })
  const fd = properties(stream).fd as number
  writeSync(fd, ' and more', 7)
  stream.destroy()
  await closing(stream)
  t.equal(isOpenOn(fd, file), false)
  t.equal(readFileSync(file, 'utf8'), 'content and more')
})

streamTest('close() ends and closes a stream that has autoClose false', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { autoClose: false })
  stream.write('content')
  const called = new Promise<unknown[]>(resolve => stream.close((...given: unknown[]) => resolve(given)))
  await closing(stream)
  t.same(await called, [])
  t.equal(properties(stream).fd, null)
  t.equal(readFileSync(file, 'utf8'), 'content')
})

streamTest('emitClose false closes the descriptor without the event', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { emitClose: false })
  const counts = countEvents(stream, ['finish', 'close'])
  stream.end('content')
  await until(() => stream.closed)
  await turns(20)
  t.same(counts, { finish: 1, close: 0 })
  t.equal(properties(stream).fd, null)
  t.equal(readFileSync(file, 'utf8'), 'content')
})

streamTest('flush true writes and closes as without it', async t => {
  const content = patterned(300_000)
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { flush: true })
  t.equal(properties(stream).flush, true)
  t.equal(await writeOne(stream, content), undefined)
  await endAndClose(stream)
  t.ok(readFileSync(file).equals(content))
})

streamTest('the options that were given are left as they are, and may be frozen, inherited or null', async t => {
  const file = join(t.testdir(), 'file')
  const frozen = Object.freeze({ flags: 'r+', start: 2, encoding: 'hex' as const })
  for (const options of [frozen, Object.create(frozen) as typeof frozen]) {
    writeFileSync(file, '0123456789')
    const stream = createUringWriteStream(file, options)
    stream.write('4142')
    await endAndClose(stream)
    t.equal(readFileSync(file, 'utf8'), '01AB456789')
  }
  const open = { flags: 'w' }
  await endAndClose(createUringWriteStream(file, open))
  t.same(open, { flags: 'w' })
  t.ok(existsSync(file))
  await endAndClose(createUringWriteStream(file, null as never))
})

streamTest('defaultEncoding is that of strings, before and after the file is open', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { defaultEncoding: 'latin1' })
  stream.write('é')
  await next(stream, 'ready')
  stream.write('é')
  stream.end('é')
  await next(stream, 'close')
  t.same(readFileSync(file), Buffer.from('ééé', 'latin1'))
})

streamTest('in object mode too it is bytes that are written', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { objectMode: true } as object)
  stream.write(Buffer.from('some '))
  stream.end('text')
  await next(stream, 'close')
  t.equal(readFileSync(file, 'utf8'), 'some text')
})

streamTest('flags and modes that are no numbers of the system fail, as with fs; what says nothing is no option', async t => {
  const file = join(t.testdir(), 'file')
  for (const options of [{ flags: NaN }, { flags: 2 ** 53 }, { flags: 1.5 }, { mode: -1 }, { mode: NaN }] as object[]) {
    const stream = createUringWriteStream(file, options)
    const error = await next(stream, 'error') as NodeJS.ErrnoException
    t.equal(error.code, 'ERR_OUT_OF_RANGE', JSON.stringify(options))
    t.notOk(existsSync(file))
  }
  for (const options of ['', { encoding: '' }, () => {}] as never[]) {
    const stream = createUringWriteStream(file, options)
    stream.end('é')
    await next(stream, 'close')
    t.equal(readFileSync(file, 'utf8'), 'é')
  }
})
