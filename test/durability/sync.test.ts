import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import fs, { openSync, closeSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createUringWriteStream } from '../../lib/index.js'
import type { UringWriteStream } from '../../lib/index.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFile } from '../helpers/files.js'
import { withExt4 } from '../helpers/image.js'
import { notDirect, ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor } from '../helpers/seeded.js'
import { closing, endAndClose, thrown, writeOne } from '../helpers/stream-events.js'

const content = patterned(1_000_003, 2)

/** The flags (RWF_*) of each write that a stream starts. */
function recordFlags(stream: UringWriteStream): Set<number> {
  const seen = new Set<number>()
  const { engine } = (stream as unknown as { _file: { ring: { engine: { start(request: { opcode: number, opFlags: number }): void } } } })._file.ring
  const start = engine.start
  engine.start = function (request) {
    if (request.opcode === 23) seen.add(request.opFlags)
    start.call(this, request)
  }
  stream.once('close', () => { engine.start = start })
  return seen
}

ringTest('with sync, flushedPosition rises with the writes', async t => {
  for (const [sync, flag] of [['data', 2], ['full', 4]] as const) {
    for (const direct of [false, 'prefer'] as const) {
      const path = join(t.testdir(), 'file')
      const stream = createUringWriteStream(path, { sync, direct, start: 10 })
      const flags = recordFlags(stream)
      t.equal(stream.flushedPosition, 10)
      for (let at = 0; at < content.length; at += 400_000) {
        t.equal(await writeOne(stream, content.subarray(at, at + 400_000)), undefined)
        t.equal(stream.flushedPosition, 10 + Math.min(at + 400_000, content.length))
      }
      await endAndClose(stream)
      t.same([...flags], [flag], 'the kernel is told so by each write')
      t.ok(readFileSync(path).subarray(10).equals(content))
    }
  }
})

ringTest('an engine of threads syncs behind each write, and an error of that is the stream\'s', async t => {
  const { fdatasync } = fs
  t.teardown(() => { fs.fdatasync = fdatasync })
  const path = join(t.testdir(), 'file')
  let calls = 0
  fs.fdatasync = Object.assign((fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
    calls++
    if (calls < 3) fdatasync(fd, done)
    else done(Object.assign(new Error('EIO: i/o error, fdatasync'), { errno: -5, code: 'EIO', syscall: 'fdatasync' }))
  }, { __promisify__: fdatasync.__promisify__ })
  const stream = createUringWriteStream(path, { sync: 'data', engine: 'threads' })
  const closed = closing(stream)
  for (const flushed of [1000, 2000]) {
    t.equal(await writeOne(stream, content.subarray(0, 1000)), undefined)
    t.equal(stream.flushedPosition, flushed)
    t.equal(calls, flushed / 1000)
  }
  t.match(await writeOne(stream, content.subarray(0, 1000)), { code: 'EIO' })
  t.match(await closed, { code: 'EIO', syscall: 'fdatasync' })
  t.equal(stream.flushedPosition, 2000)
})

ringTest('of what is no regular file nothing is known to be on a disk', async t => {
  const stream = createUringWriteStream('/dev/null', { sync: 'data' })
  t.equal(await writeOne(stream, content), undefined)
  t.equal(stream.flushedPosition, 0)
  await endAndClose(stream)
}, notLinux)

ringTest('without sync nothing is known to be on the disk before a flush', async t => {
  const path = join(t.testdir(), 'file')
  for (const flush of [true, false]) {
    const stream = createUringWriteStream(path, { flush })
    await writeOne(stream, content)
    t.equal(stream.flushedPosition, 0)
    await endAndClose(stream)
    t.equal(stream.flushedPosition, flush ? content.length : 0)
  }
})

ringTest('preallocated space is there while the file is written, and cut at the end', async t => {
  const path = join(t.testdir(), 'file')
  for (const direct of [false, 'prefer'] as const) {
    for (const preallocate of [1, 500_000, 4 << 20]) {
      const stream = createUringWriteStream(path, { preallocate, direct, flush: true })
      await writeOne(stream, content)
      t.equal(statSync(path).size, Math.max(content.length, preallocate))
      await endAndClose(stream)
      t.ok(readFileSync(path).equals(content), `${preallocate} bytes`)
      t.ok(statSync(path).blocks * 512 < content.length + 65_536, 'no block is left over')
      const destroyed = createUringWriteStream(path, { preallocate, direct })
      await writeOne(destroyed, content.subarray(0, 5000))
      destroyed.destroy()
      await closing(destroyed)
      t.ok(readFileSync(path).equals(content.subarray(0, 5000)), 'of one that is destroyed as well')
    }
  }
}, notDirect)

ringTest('preallocated space that cannot be cut at the end is an error: nothing that was not written passes for written', async t => {
  await withExt4(t, 8, null, async disk => {
    for (const options of [{}, { flush: true }]) {
      const path = join(disk, 'file')
      const stream = createUringWriteStream(path, { preallocate: 1 << 20, ...options })
      await once(stream, 'ready')
      execFileSync('chattr', ['+a', path]) // what may only grow can be written, but not cut
      const closed = closing(stream)
      stream.on('finish', () => t.fail('it has finished')).end('five!')
      t.match(await closed, { code: 'EPERM', syscall: 'ftruncate' })
      t.equal(stream.bytesWritten, 5)
      execFileSync('chattr', ['-a', path])
    }
    const [path, names] = [join(disk, 'file'), () => readdirSync(disk)]
    writeFileSync(path, 'old')
    const stream = createUringWriteStream(path, { preallocate: 1 << 20, atomic: true })
    await once(stream, 'ready')
    const [temporary] = names().filter(name => name !== 'file')
    execFileSync('chattr', ['+a', join(disk, temporary)])
    const closed = closing(stream)
    stream.end('five!')
    t.match(await closed, { code: 'EPERM', syscall: 'ftruncate' })
    t.equal(readFileSync(path, 'latin1'), 'old', 'nor does it take the place of another')
  })
})

ringTest('preallocation in a file that is longer cuts nothing off', async t => {
  const { path, content: before } = makeFile(join(t.testdir(), 'file'), 100_000)
  const stream = createUringWriteStream(path, { flags: 'r+', start: 50, preallocate: 1 << 20 })
  stream.end('middle')
  t.equal(await closing(stream), undefined)
  before.write('middle', 50)
  t.ok(readFileSync(path).equals(before))
})

ringTest('preallocation behind the end of a file adds nothing to it where nothing is written', async t => {
  const { path, content: before } = makeFile(join(t.testdir(), 'file'), 100)
  for (const end of ['end', 'destroy'] as const) {
    const stream = createUringWriteStream(path, { flags: 'r+', start: 5000, preallocate: 1 << 20 })
    await once(stream, 'open')
    stream[end]()
    t.equal(await closing(stream), undefined)
    t.ok(readFileSync(path).equals(before), end)
  }
})

ringTest('space that is not there fails the stream when it opens', async t => {
  const path = join(t.testdir(), 'file')
  const error = await closing(createUringWriteStream(path, { preallocate: 2 ** 52 }))
  t.match(error, { syscall: 'fallocate' })
  t.match(error!.code, /^(ENOSPC|EFBIG)$/)
  t.equal(statSync(path).size, 0, 'and nothing of it is left')
}, notDirect)

ringTest('several streams append whole chunks to one file', async t => {
  const random = seededFor(t)
  const path = join(t.testdir(), 'log')
  writeFileSync(path, '')
  const fd = openSync(path, 'a')
  const streams = [1, 2, 3].map(() => createUringWriteStream(path, { flags: 'a', chunkSize: 4096 }))
  streams.push(createUringWriteStream('', { fd, chunkSize: 4096 }))
  const expected: string[] = []
  for (let i = 0; i < 4000; i++) {
    const line = `${i} ${'x'.repeat(random.between(0, i % 50 === 0 ? 10_000 : 1500))} ${i}`
    expected.push(line)
    const stream = random.pick(streams)
    const chunk = random.chance() ? `${line}\n` : Buffer.from(`${line}\n`)
    if (!stream.write(chunk)) await new Promise(resolve => stream.once('drain', resolve))
  }
  await Promise.all(streams.map(endAndClose))
  t.throws(() => closeSync(fd))
  const found = readFileSync(path, 'utf8').trimEnd().split('\n')
  const order = (a: string, b: string): number => parseInt(a) - parseInt(b)
  t.same(found.sort(order), expected, 'no line is lost, twice there, or torn')
})

t.test('bad options are refused at once', async t => {
  const cases: [object, string][] = [
    [{ sync: 'yes' }, 'ERR_INVALID_ARG_VALUE'], [{ sync: true }, 'ERR_INVALID_ARG_VALUE'],
    [{ preallocate: 0 }, 'ERR_OUT_OF_RANGE'], [{ preallocate: '1' }, 'ERR_INVALID_ARG_TYPE']
  ]
  for (const [options, code] of cases) t.match(thrown(() => createUringWriteStream('x', options)), { code }, JSON.stringify(options))
  const appending = createUringWriteStream(join(t.testdir(), 'log'), { flags: 'a', preallocate: 1 })
  t.match(await closing(appending), { code: 'ERR_INVALID_ARG_VALUE' })
})
