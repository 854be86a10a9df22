import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, createReadStream, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { createUringReadStream, createUringWriteStream, open } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, countEvents, endAndClose, next, onData, properties, readAll, recordEvents, turns, writeOne } from '../helpers/stream-events.js'

const KEEP = { autoClose: false } as const

/** The position of a descriptor, told by the byte that a read finds there. */
function nextByte(fd: number): number {
  const byte = Buffer.alloc(1)
  return readSync(fd, byte, 0, 1, null) ? byte[0] : -1
}

async function readToEnd(stream: ReturnType<typeof createUringReadStream>): Promise<Buffer> {
  const chunks: Buffer[] = []
  onData(stream, chunk => chunks.push(chunk))
  await next(stream, 'end')
  return Buffer.concat(chunks)
}

streamTest('a descriptor is read from where it stands, then closed, without open and ready', async t => {
  const content = patterned(300_000)
  const file = join(t.testdir({ file: content }), 'file')
  const fd = openSync(file, 'r')
  readSync(fd, Buffer.alloc(1000))
  const stream = createUringReadStream('is ignored', { fd, highWaterMark: 7000 })
  t.match(properties(stream), { fd, pending: false, autoClose: true })
  t.equal(properties(stream).path, undefined)
  const seen = recordEvents(stream, ['open', 'ready', 'data', 'end', 'close'])
  t.ok((await readAll(stream)).equals(content.subarray(1000)))
  t.same(seen, ['data', 'end', 'close'])
  t.equal(properties(stream).fd, null)
  t.equal(isOpenOn(fd, file), false)
})

streamTest('the path may be anything when a descriptor is given', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  for (const path of [undefined, null, '', 5]) {
    const stream = createUringReadStream(path as never, { fd: openSync(file, 'r') })
    t.equal((await readAll(stream)).toString(), 'content')
  }
})

streamTest('after a read to the end the descriptor stands at the end', async t => {
  const content = patterned(300_000)
  const file = join(t.testdir({ file: content }), 'file')
  const fd = openSync(file, 'r')
  const stream = createUringReadStream('', { fd, ...KEEP })
  t.equal(sha256(await readToEnd(stream)), sha256(content))
  t.equal(nextByte(fd), -1)
  await turns(20)
  t.ok(isOpenOn(fd, file), 'autoClose false leaves it open')
  closeSync(fd)
})

streamTest('without a start, end is the last byte counted from the position, and the next reader goes on behind it', async t => {
  const content = patterned(300_000)
  const fd = openSync(join(t.testdir({ file: content }), 'file'), 'r')
  readSync(fd, Buffer.alloc(10))
  let at = 10
  for (const [length, highWaterMark] of [[5, 100], [100_000, 7000], [1, 1], [65_536, 65_536], [70_000, undefined]] as const) {
    const stream = createUringReadStream('', { fd, ...KEEP, end: length - 1, highWaterMark })
    t.ok((await readToEnd(stream)).equals(content.subarray(at, at + length)), `${length} bytes`)
    t.equal(stream.bytesRead, length)
    at += length
    t.equal(nextByte(fd), content[at], 'the position is right behind')
    at += 1
  }
  closeSync(fd)
})

streamTest('a start reads there, and leaves the position alone', async t => {
  const content = patterned(100_000)
  const fd = openSync(join(t.testdir({ file: content }), 'file'), 'r')
  readSync(fd, Buffer.alloc(100))
  for (const start of [0, 50, 99_990]) {
    const stream = createUringReadStream('', { fd, ...KEEP, start, end: 99_995 })
    t.ok((await readToEnd(stream)).equals(content.subarray(start, 99_996)))
  }
  t.equal(nextByte(fd), content[100])
  closeSync(fd)
})

streamTest('two streams may read one descriptor at different places at once', async t => {
  const content = patterned(400_000)
  const fd = openSync(join(t.testdir({ file: content }), 'file'), 'r')
  const [head, tail] = await Promise.all([
    readToEnd(createUringReadStream('', { fd, ...KEEP, start: 0, end: 199_999, highWaterMark: 5000 })),
    readToEnd(createUringReadStream('', { fd, ...KEEP, start: 200_000, highWaterMark: 5000 })),
  ])
  t.equal(sha256(Buffer.concat([head, tail])), sha256(content))
  closeSync(fd)
})

streamTest('a pipe as descriptor is read to its end', async t => {
  const content = patterned(500_000)
  const dir = t.testdir({ file: content })
  execFileSync('mkfifo', [join(dir, 'fifo')])
  const child = spawn('sh', ['-c', 'cat file > fifo'], { cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] })
  const gone = once(child, 'close')
  const fd = openSync(join(dir, 'fifo'), 'r')
  t.equal(sha256(await readAll(createUringReadStream('', { fd }))), sha256(content))
  await gone
})

streamTest('destroy() closes a descriptor that was given, with autoClose false too', async t => {
  const file = join(t.testdir({ file: patterned(100_000) }), 'file')
  for (const autoClose of [true, false]) {
    const fd = openSync(file, 'r')
    const stream = createUringReadStream('', { fd, autoClose, highWaterMark: 1000 })
    stream.once('data', () => stream.destroy())
    t.equal(await closing(stream), undefined)
    t.equal(isOpenOn(fd, file), false)
    const writing = openSync(file, 'r+')
    const writer = createUringWriteStream('', { fd: writing, autoClose })
    writer.destroy()
    t.equal(await closing(writer), undefined)
    t.equal(isOpenOn(writing, file), false)
  }
})

streamTest('a descriptor is written from where it stands, and stands behind what was written', async t => {
  const content = patterned(300_000)
  const file = join(t.testdir(), 'file')
  const fd = openSync(file, 'w+')
  writeSync(fd, 'head ')
  const stream = createUringWriteStream('is ignored', { fd, ...KEEP, highWaterMark: 7000 })
  t.match(properties(stream), { fd, pending: false })
  t.equal(properties(stream).path, undefined)
  const counts = countEvents(stream, ['open', 'ready', 'finish', 'close'])
  const finished = next(stream, 'finish')
  for (let at = 0; at < content.length; at += 9001) stream.write(content.subarray(at, at + 9001))
  stream.end()
  await finished
  await turns(20)
  t.same(counts, { open: 0, ready: 0, finish: 1, close: 0 })
  writeSync(fd, ' tail')
  t.equal(sha256(readFileSync(file)), sha256(Buffer.concat([Buffer.from('head '), content, Buffer.from(' tail')])))
  closeSync(fd)
})

streamTest('a start writes there, and leaves the position of the descriptor alone', async t => {
  const file = join(t.testdir({ file: '0123456789' }), 'file')
  const fd = openSync(file, 'r+')
  writeSync(fd, 'ab')
  const stream = createUringWriteStream('', { fd, ...KEEP, start: 5 })
  t.equal(await writeOne(stream, 'XY'), undefined)
  t.equal(await writeOne(stream, 'Z'), undefined)
  writeSync(fd, 'c')
  t.equal(readFileSync(file, 'utf8'), 'abc34XYZ89')
  stream.destroy()
  await closing(stream)
})

streamTest('a descriptor opened for appending is written at the end', async t => {
  const file = join(t.testdir({ file: 'first ' }), 'file')
  const stream = createUringWriteStream('', { fd: openSync(file, 'a') })
  for (let i = 0; i < 50; i++) stream.write(`${i} `)
  await endAndClose(stream)
  t.equal(readFileSync(file, 'utf8'), `first ${Array.from({ length: 50 }, (_, i) => `${i} `).join('')}`)
})

streamTest('a descriptor that was given is closed after finish', async t => {
  const file = join(t.testdir(), 'file')
  const fd = openSync(file, 'w')
  const stream = createUringWriteStream('', { fd })
  const seen = recordEvents(stream, ['open', 'ready', 'finish', 'close'])
  stream.write('content')
  await endAndClose(stream)
  t.same(seen, ['finish', 'close'])
  t.equal(isOpenOn(fd, file), false)
  t.equal(properties(stream).fd, null)
})

streamTest('descriptor 0 is a file like any other', async t => {
  const content = patterned(300_000)
  const file = join(t.testdir({ file: content }), 'file')
  const script = new URL('../helpers/stdin-child.js', import.meta.url).pathname
  for (const source of ['file', 'pipe']) {
    const fd = openSync(file, 'r')
    const child = spawn(process.execPath, [script], { stdio: [source === 'file' ? fd : 'pipe', 'pipe', 'inherit'] })
    if (child.stdin) createReadStream(file).pipe(child.stdin)
    const [output] = await Promise.all([text(child.stdout as NodeJS.ReadableStream), once(child, 'close')])
    t.equal(output.trim(), sha256(content), `standard input is a ${source}`)
    closeSync(fd)
  }
})

for (const flags of ['w', 'a']) {
  streamTest(`a stream that is open (${flags}) may be given to a child as its standard output, between writes of its own`, async t => {
    const file = join(t.testdir(), 'file')
    const stream = createUringWriteStream(file, { flags })
    t.equal(await writeOne(stream, 'before, '), undefined)
    for (const text of ['from the child', 'and from another']) {
      await once(spawn('echo', [text], { stdio: ['ignore', stream, 'inherit'] }), 'close')
    }
    stream.write('and from here\n')
    await endAndClose(stream)
    t.equal(readFileSync(file, 'utf8'), 'before, from the child\nand from another\nand from here\n')
    t.equal(stream.bytesWritten, 22)
  })
}

streamTest('who has the descriptor as well goes on behind what a stream wrote, and the stream behind that, up to its end and later', async t => {
  const file = join(t.testdir(), 'file')
  const fd = openSync(file, 'w+')
  const stream = createUringWriteStream('', { fd, ...KEEP })
  const expected: Buffer[] = []
  const write = async (piece: Buffer): Promise<void> => {
    t.equal(await writeOne(stream, piece), undefined)
    writeSync(fd, '|')
    expected.push(piece, Buffer.from('|'))
  }
  for (const bytes of [1, 9000, 600_000, 3_000_000, 5]) await write(patterned(bytes)) // gathered, and in pieces
  const finished = next(stream, 'finish')
  stream.end()
  await finished
  writeSync(fd, 'end')
  t.equal(sha256(readFileSync(file)), sha256(Buffer.concat([...expected, Buffer.from('end')])))
  closeSync(fd)
})

streamTest('a handle, its streams and others with the descriptor write at the same time, and nothing is lost', async t => {
  const file = join(t.testdir(), 'file')
  for (let round = 0; round < 10; round++) {
    const handle = await open(file, 'w')
    const [one, two] = [1, 2].map(() => handle.createWriteStream({ autoClose: false }))
    await turns(1)
    const bytes = [10, 300_000, 1_000_000, 7, 20]
    const written: Promise<unknown>[] = []
    for (const [i, length] of bytes.entries()) {
      one.write(Buffer.alloc(length, 'a'))
      two.write(Buffer.alloc(length, 'b'))
      if (i % 2 === round % 2) await null
      written.push(handle.write(Buffer.alloc(length, 'c')))
      await turns(1)
    }
    await Promise.all([...written, ...[one, two].map(stream => {
      const finished = next(stream, 'finish')
      stream.end()
      return finished
    })])
    const counts = [0, 0, 0]
    for (const byte of readFileSync(file)) counts[byte - 97]++
    const all = bytes.reduce((sum, length) => sum + length)
    t.same(counts, [all, all, all])
    await Promise.all([one, two].map(stream => closing(stream.destroy())))
    await handle.close()
  }
})

streamTest('a child that is started while a write is in flight goes on behind it', async t => {
  const file = join(t.testdir(), 'file')
  for (let round = 0; round < 10; round++) {
    const stream = createUringWriteStream(file)
    const first = patterned(round % 2 === 0 ? 6 : 700_000)
    stream.write(first)
    await once(stream, 'open')
    await once(spawn('echo', ['child'], { stdio: ['ignore', stream, 'inherit'] }), 'close')
    await endAndClose(stream)
    t.equal(sha256(readFileSync(file)), sha256(Buffer.concat([first, Buffer.from('child\n')])))
  }
})

streamTest('of what is dropped when the stream is destroyed the descriptor does not stand behind', async t => {
  const file = join(t.testdir(), 'file')
  for (let round = 0; round < 5; round++) {
    const fd = openSync(file, 'w')
    const child = spawn('sh', ['-c', 'read line; printf b'], { stdio: ['pipe', fd, 'inherit'] })
    const stream = createUringWriteStream('', { fd })
    await turns(1)
    for (let i = 0; i < 20; i++) stream.write(Buffer.alloc(1 << 20, 'a'))
    await turns(round)
    stream.destroy()
    await next(stream, 'close')
    child.stdin!.end('\n')
    await once(child, 'close')
    const content = readFileSync(file)
    t.equal(content.length, stream.bytesWritten + 1)
    t.equal(content.at(-1), 98)
    t.ok(content.subarray(0, -1).every(byte => byte === 97), `${stream.bytesWritten} bytes`)
  }
})
