import { once } from 'node:events'
import fs, { chmodSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { createUringReadStream, createUringWritableStream, createUringWriteStream } from '../../lib/index.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFile } from '../helpers/files.js'
import { asOtherUser, notRoot } from '../helpers/other-user.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { closing, endAndClose, thrown, writeOne } from '../helpers/stream-events.js'

const old = Buffer.from('what was there before')
const content = patterned(300_001, 3)

ringTest('an atomic stream replaces the file when it finishes, and not before', async t => {
  const directory = t.testdir({ target: old })
  const path = join(directory, 'target')
  const stream = createUringWriteStream(path, { atomic: true })
  t.equal(await writeOne(stream, content), undefined)
  t.same(readFileSync(path), old, 'the old file while it is written')
  t.equal(stream.flushedPosition, 0)
  await endAndClose(stream)
  t.ok(readFileSync(path).equals(content))
  t.equal(stream.flushedPosition, content.length)
  t.equal(stream.path, path)
  t.same(readdirSync(directory), ['target'], 'no other file is left')
})

ringTest('it makes a file that is not there yet, also by an engine of threads and as a Web stream', async t => {
  const directory = t.testdir()
  const streams = {
    a: createUringWriteStream(join(directory, 'a'), { atomic: true, mode: 0o600 }),
    b: createUringWriteStream(Buffer.from(join(directory, 'b')), { atomic: true, mode: 0o600, engine: 'threads' })
  }
  for (const stream of Object.values(streams)) await pipeline([content], stream)
  const writer = createUringWritableStream(join(directory, 'c'), { atomic: true, mode: 0o600 }).getWriter()
  await writer.write(content)
  t.same(readdirSync(directory).filter(name => !name.startsWith('.')), ['a', 'b'])
  await writer.close()
  t.same(readdirSync(directory), ['a', 'b', 'c'])
  for (const name of ['a', 'b', 'c']) {
    t.ok(readFileSync(join(directory, name)).equals(content))
    t.equal(statSync(join(directory, name)).mode & 0o777, 0o600)
  }
})

ringTest('a directory that may be written to and not read takes an atomic file', async t => {
  await asOtherUser(async directory => {
    const path = join(directory, 'target')
    chmodSync(directory, 0o300)
    await pipeline([content], createUringWriteStream(path, { atomic: true }))
    await pipeline([old], createUringWriteStream(path, { atomic: true }))
    chmodSync(directory, 0o700)
    t.same(readdirSync(directory), ['target'])
    t.same(readFileSync(path), old)
  })
}, notRoot)

ringTest('permissions stay, a symbolic link stays one, and a hard link keeps the old file', async t => {
  const directory = t.testdir({ sub: {}, target: old })
  const [target, link, other] = ['target', 'sub/link', 'other'].map(name => join(directory, name))
  chmodSync(target, 0o640)
  linkSync(target, other)
  symlinkSync('../target', link)
  await pipeline([content], createUringWriteStream(link, { atomic: true }))
  t.ok(lstatSync(link).isSymbolicLink())
  t.ok(readFileSync(target).equals(content))
  t.equal(statSync(target).mode & 0o777, 0o640)
  t.same(readFileSync(other), old)
  const dangling = join(directory, 'dangling')
  symlinkSync('sub/new', dangling)
  await pipeline([content], createUringWriteStream(dangling, { atomic: true }))
  t.ok(lstatSync(dangling).isSymbolicLink())
  t.ok(readFileSync(join(directory, 'sub/new')).equals(content))
})

ringTest('the parent of a link is that of where it leads', async t => {
  const directory = t.testdir({ far: { inner: {} }, near: t.fixture('symlink', 'far/inner') })
  symlinkSync('../wanted', `${directory}/near/link`)
  await pipeline([content], createUringWriteStream(`${directory}/near/link`, { atomic: true }))
  t.ok(readFileSync(join(directory, 'far/wanted')).equals(content))
  const unborn = createUringWriteStream(`${directory}/near/../unborn`, { atomic: true })
  await once(unborn, 'open')
  t.match(readdirSync(join(directory, 'far')).join(), '.uring-', 'the temporary file is where the target will be')
  await endAndClose(unborn)
  t.same(readdirSync(join(directory, 'far')), ['inner', 'unborn', 'wanted'])
  t.same(readdirSync(directory), ['far', 'near'])
}, notLinux)

ringTest('an error, an abort or a destroy leaves the old file, and no other', async t => {
  const directory = t.testdir({ target: old })
  const path = join(directory, 'target')
  const assertOld = (how: string): void => {
    t.same(readFileSync(path), old, how)
    t.same(readdirSync(directory), ['target'], 'no other file is left')
  }
  for (const direct of [false, 'prefer'] as const) {
    const options = { atomic: true, direct, preallocate: 1 << 20 }
    for (const when of ['open', 'written', 'ended'] as const) {
      const stream = createUringWriteStream(path, options)
      const closed = closing(stream)
      if (when !== 'open') await writeOne(stream, content)
      if (when === 'ended') stream.end()
      stream.destroy()
      t.equal(await closed, undefined)
      assertOld(`destroyed when it was ${when}`)
    }
    const controller = new AbortController()
    const stream = createUringWriteStream(path, { ...options, signal: controller.signal })
    const closed = closing(stream)
    await writeOne(stream, content)
    controller.abort()
    t.match(await closed, { code: 'ABORT_ERR' })
    assertOld('aborted')
    const fed = createUringWriteStream(path, options)
    const fedClosed = closing(fed) // the pipeline does not wait for it
    await t.rejects(pipeline(createUringReadStream(join(directory, 'missing')), fed), { code: 'ENOENT' })
    await fedClosed
    assertOld('its source failed')
    const writer = createUringWritableStream(path, options).getWriter()
    await writer.write(content)
    await writer.abort()
    assertOld('a Web stream was aborted')
  }
})

ringTest('a rename that fails is the stream\'s error', async t => {
  const directory = t.testdir()
  const path = join(directory, 'target')
  const stream = createUringWriteStream(path, { atomic: true })
  await writeOne(stream, content)
  mkdirSync(path)
  const closed = closing(stream)
  stream.end()
  t.match(await closed, { code: 'EISDIR', syscall: 'rename' })
  t.same(readdirSync(directory), ['target'])
})

ringTest('what cannot be replaced is refused when the stream opens', async t => {
  const directory = t.testdir({ directory: {} })
  const cases: [string, object][] = [
    ['directory', { code: 'EISDIR', syscall: 'open', path: join(directory, 'directory') }],
    ['missing/target', { code: 'ENOENT', syscall: 'open', path: join(directory, 'missing/target') }]
  ]
  for (const [name, expected] of cases) {
    t.match(await closing(createUringWriteStream(join(directory, name), { atomic: true })), expected)
  }
  t.match(await closing(createUringWriteStream('/dev/null', { atomic: true })), { code: 'ERR_INVALID_ARG_VALUE' })
  t.same(readdirSync(directory), ['directory'])
})

t.test('atomic needs a path, the flags w and the beginning of the file', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 1)
  for (const options of [{ flags: 'a' }, { flags: 'wx' }, { start: 1 }, { fd: 1 }]) {
    const error = thrown(() => createUringWriteStream(path, { atomic: true, ...options }))
    t.match(error, { code: 'ERR_INVALID_ARG_VALUE' }, JSON.stringify(options))
  }
  t.match(thrown(() => createUringWriteStream(path, { atomic: true, fs })), { code: 'ERR_METHOD_NOT_IMPLEMENTED' })
  t.match(thrown(() => createUringWriteStream(path, { atomic: 1 as unknown as true })), { code: 'ERR_INVALID_ARG_TYPE' })
  writeFileSync(path, old)
})
