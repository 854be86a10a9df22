import { execFileSync } from 'node:child_process'
import { appendFileSync, constants, ftruncateSync, openSync, closeSync, readFileSync, truncateSync, writeFileSync, symlinkSync, createWriteStream, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { notLinux, streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, next, onData, readAll, readText, recordEvents, turns, writeOne } from '../helpers/stream-events.js'

streamTest('a FIFO gives each part when it was written, and ends when the writer closes', async t => {
  const fifo = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const stream = createUringReadStream(fifo)
  const seen = recordEvents(stream, ['open', 'ready', 'end', 'close'])
  const writer = createWriteStream(fifo)
  const received: string[] = []
  for (const part of ['one', 'two', 'three']) {
    const arrived = next<Buffer>(stream, 'data')
    writer.write(part)
    received.push((await arrived).toString())
  }
  t.same(received, ['one', 'two', 'three'])
  t.equal(stream.bytesRead, 11)
  writer.end()
  await closing(stream)
  await closing(writer)
  t.same(seen, ['open', 'ready', 'end', 'close'])
})

streamTest('more than a pipe holds goes through a FIFO in order, both ends being ours', async t => {
  const content = patterned(1 << 20)
  const fifo = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const reader = createUringReadStream(fifo)
  const writer = createUringWriteStream(fifo)
  const got = readAll(reader)
  for (let at = 0; at < content.length; at += 50_000) writer.write(content.subarray(at, at + 50_000))
  await endAndClose(writer)
  t.equal(sha256(await got), sha256(content))
  t.equal(writer.bytesWritten, content.length)
})

streamTest('a FIFO that is opened to be written and not made waits for its reader', async t => {
  const fifo = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const writer = createUringWriteStream(fifo, { flags: constants.O_WRONLY })
  const seen = recordEvents(writer, ['open', 'error'])
  await turns(20)
  t.same(seen, [], 'neither open nor refused')
  const got = readAll(createUringReadStream(fifo))
  writer.write('content')
  await endAndClose(writer)
  t.equal((await got).toString(), 'content')
}, notLinux)

streamTest('a FIFO is read up to end, without waiting for the writer to close', async t => {
  const fifo = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const both = openSync(fifo, 'r+')
  const stream = createUringReadStream(fifo, { end: 4 })
  writeSync(both, 'wanted and more')
  t.equal((await readAll(stream)).toString(), 'wante')
  closeSync(both)
})

streamTest('a stream of a FIFO that is destroyed while it waits for bytes closes', async t => {
  const fifo = join(t.testdir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const both = openSync(fifo, 'r+')
  const stream = createUringReadStream(fifo)
  const seen = recordEvents(stream, ['open', 'ready', 'data', 'end', 'error', 'close'])
  await next(stream, 'ready')
  stream.destroy()
  writeSync(both, 'late') // lets a read that cannot be cancelled finish
  t.equal(await closing(stream), undefined)
  t.same(seen, ['open', 'ready', 'close'])
  closeSync(both)
})

streamTest('a device without an end is read up to end', async t => {
  const stream = createUringReadStream('/dev/zero', { end: 299_999, highWaterMark: 70_000 })
  t.ok((await readAll(stream)).equals(Buffer.alloc(300_000)))
  t.equal(stream.bytesRead, 300_000)
})

streamTest('/dev/null is empty, and takes everything', async t => {
  t.equal((await readAll(createUringReadStream('/dev/null'))).length, 0)
  const writer = createUringWriteStream('/dev/null')
  t.equal(await writeOne(writer, patterned(100_000)), undefined)
  await endAndClose(writer)
  t.equal(writer.bytesWritten, 100_000)
})

streamTest('a file of procfs is read although its size is 0', async t => {
  const status = await readText(createUringReadStream('/proc/self/status', 'utf8'))
  t.match(status, new RegExp(`^Pid:\\t${process.pid}$`, 'm'))
  const path = '/proc/filesystems'
  const content = readFileSync(path)
  t.ok(content.length > 20)
  t.ok((await readAll(createUringReadStream(path))).equals(content))
  t.ok((await readAll(createUringReadStream(path, { start: 5, end: 14 }))).equals(content.subarray(5, 15)))
  t.ok((await readAll(createUringReadStream(path, { highWaterMark: 7 }))).equals(content))
}, notLinux)

streamTest('bytes appended before the end is reached are read', async t => {
  const content = patterned(4 << 20)
  const more = patterned(1 << 20, 2)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 64 * 1024 })
  stream.once('data', () => appendFileSync(file, more))
  t.equal(sha256(await readAll(stream)), sha256(Buffer.concat([content, more])))
})

streamTest('a file cut short while it is read ends where it was cut', async t => {
  const content = patterned(4 << 20)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 64 * 1024 })
  stream.once('data', () => truncateSync(file, 2 << 20))
  t.equal(sha256(await readAll(stream)), sha256(content.subarray(0, 2 << 20)))
  t.equal(stream.bytesRead, 2 << 20)
})

streamTest('a file that is removed while it is read is read to its end', async t => {
  const content = patterned(1 << 20)
  const dir = t.testdir({ file: content })
  const stream = createUringReadStream(join(dir, 'file'), { highWaterMark: 64 * 1024 })
  stream.once('data', () => execFileSync('rm', [join(dir, 'file')]))
  t.equal(sha256(await readAll(stream)), sha256(content))
})

streamTest('holes of a sparse file are zeros', async t => {
  const file = join(t.testdir({ file: 'start' }), 'file')
  const fd = openSync(file, 'r+')
  ftruncateSync(fd, 3 << 20)
  writeSync(fd, 'end', 2 << 20)
  closeSync(fd)
  t.equal(sha256(await readAll(createUringReadStream(file))), sha256(readFileSync(file)))
})

streamTest('a symbolic link is followed, for reading and for writing', async t => {
  const dir = t.testdir({ file: 'content' })
  const link = join(dir, 'link')
  symlinkSync('file', link)
  t.equal((await readAll(createUringReadStream(link))).toString(), 'content')
  const writer = createUringWriteStream(link)
  writer.write('changed')
  await endAndClose(writer)
  t.equal(readFileSync(join(dir, 'file'), 'utf8'), 'changed')
})

streamTest('a file may be written by one stream while another reads what is there', async t => {
  const file = join(t.testdir(), 'file')
  writeFileSync(file, '')
  const writer = createUringWriteStream(file, { flags: 'r+' })
  const content = patterned(300_000)
  t.equal(await writeOne(writer, content), undefined)
  const reader = createUringReadStream(file)
  const chunks: Buffer[] = []
  onData(reader, chunk => chunks.push(chunk))
  await closing(reader)
  t.ok(Buffer.concat(chunks).equals(content), 'a write whose callback came is seen by a stream made then')
  await endAndClose(writer)
})
