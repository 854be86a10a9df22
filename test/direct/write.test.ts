// What is written with `direct: true` must be in the file byte for byte, with nothing lost and nothing left over.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { createUringReadStream, createUringWritableStream, createUringWriteStream } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import { notDirect, ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor } from '../helpers/seeded.js'
import { closing, endAndClose, writeOne } from '../helpers/stream-events.js'

const chunkSize = 65_536 // the smallest slot
const edges = [0, 1, 511, 512, 4095, 4096, 4097, chunkSize - 1, chunkSize, chunkSize + 1]

/** A file as it must look after `content` was written at `start` of it. */
function written(before: Buffer, content: Buffer, start: number): Buffer {
  const after = Buffer.alloc(Math.max(before.length, content.length === 0 ? 0 : start + content.length))
  before.copy(after)
  content.copy(after, start)
  return after
}

ringTest('direct writes of any length at any start change nothing else in the file', async t => {
  const path = join(t.testdir(), 'file')
  const before = patterned(3 * chunkSize + 5, 9)
  let wrong = 0
  let ranges = 0
  for (const size of [0, before.length]) {
    for (const start of edges) {
      for (const length of [...edges, 2 * chunkSize + 3]) {
        const old = before.subarray(0, size)
        writeFileSync(path, old)
        const content = patterned(length, start + length + 1)
        const stream = createUringWriteStream(path, { direct: true, flags: 'r+', start, chunkSize })
        stream.end(content)
        const failure = await closing(stream)
        ranges++
        const right = readFileSync(path).equals(written(old, content, start))
        if (failure === undefined && right && stream.direct && stream.bytesWritten === length) continue
        wrong++
        t.fail(`${length} bytes at ${start} of ${size}: ${failure?.message ?? 'the file is another'}`)
      }
    }
  }
  t.equal(wrong, 0, `${ranges} ranges`)
}, notDirect)

ringTest('direct writes of chunks of any size and pace make the file that buffered ones make', async t => {
  const random = seededFor(t)
  const directory = t.testdir()
  for (let round = 0; round < 40; round++) {
    const path = join(directory, `round-${round}`)
    const options = {
      direct: true as const, start: random.pick([undefined, 0, 4096, random.between(1, 20_000)]),
      chunkSize: random.pick([1, 4096, 50_000, 1 << 20]), writeBehind: random.pick([1, 2, 8])
    }
    const most = random.pick([10, 5000, 100_000, 2_500_000])
    const content = random.bytes(random.between(0, random.pick([10_000, Math.min(most * 1000, 3_000_000)])))
    const stream = createUringWriteStream(path, options)
    let answered = 0
    let calls = 0
    for (let at = 0; at < content.length;) {
      const piece = content.subarray(at, at += random.between(1, most))
      const how = random.between(0, most < 5000 ? 40 : 4)
      if (how === 0) t.equal(await writeOne(stream, piece), undefined)
      else if (how === 1) stream.write(piece.toString('latin1'), 'latin1')
      else {
        calls++
        stream.write(piece, () => { answered++ })
      }
      if (stream.writableNeedDrain) await new Promise(resolve => stream.once('drain', resolve))
      else if (random.between(0, 99) === 0) await setImmediate()
    }
    await endAndClose(stream)
    t.equal(answered, calls, 'every callback is called')
    const expected = written(Buffer.alloc(0), content, options.start ?? 0)
    t.ok(readFileSync(path).equals(expected), `${content.length} bytes, ${JSON.stringify(options)}, pieces up to ${most}`)
  }
}, notDirect)

ringTest('lines of text go direct, in whatever lengths', async t => {
  const path = join(t.testdir(), 'file')
  const stream = createUringWriteStream(path, { direct: true, chunkSize: 4096 })
  let text = ''
  for (let i = 0; i < 20_000; i++) {
    const line = `line ${i} äöü\n`
    text += line
    if (!stream.write(line)) await new Promise(resolve => stream.once('drain', resolve))
  }
  await endAndClose(stream)
  t.equal(readFileSync(path, 'utf8'), text)
}, notDirect)

ringTest('a direct pipe hands memory over, and copies a file of any length', async t => {
  const directory = t.testdir()
  for (const length of [0, 1, 4096, 3_000_001, 8 << 20]) {
    for (const start of [0, 5000]) {
      const { path, content } = makeFile(join(directory, `from-${length}-${start}`), length)
      const target = join(directory, 'to')
      const writer = createUringReadStream(path, { direct: true, start }).pipe(createUringWriteStream(target, { direct: true }))
      t.equal(await closing(writer), undefined)
      t.ok(readFileSync(target).equals(content.subarray(start)), `${length} bytes from ${start}`)
    }
  }
}, notDirect)

ringTest('a direct Web stream copies chunks before their write resolves', async t => {
  const path = join(t.testdir(), 'file')
  const content = patterned(5_000_001, 5)
  const stream = createUringWritableStream(path, { direct: true, start: 3 })
  const writer = stream.getWriter()
  for (let at = 0; at < content.length; at += 1_500_000) {
    const chunk = Uint8Array.from(content.subarray(at, at + 1_500_000))
    await writer.write(chunk)
    chunk.fill(0)
  }
  t.equal(stream.direct, true)
  await writer.close()
  t.ok(readFileSync(path).subarray(3).equals(content))
}, notDirect)

ringTest('a chunk that is detached before its turn fails the stream', async t => {
  const path = join(t.testdir(), 'file')
  const stream = createUringWriteStream(path, { direct: true, chunkSize: 4096, writeBehind: 1 })
  const closed = closing(stream)
  await new Promise(resolve => stream.once('open', resolve))
  const chunk = new Uint8Array(1 << 20)
  stream.write(chunk)
  structuredClone(chunk.buffer, { transfer: [chunk.buffer] })
  t.match(await closed, { code: 'ERR_INVALID_STATE', message: /detached/ })
  t.ok(statSync(path).size < chunk.length || chunk.length === 0)
}, notDirect)

ringTest('what is appended is never direct', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 10)
  const refused = createUringWriteStream(path, { flags: 'a', direct: true })
  t.match(await closing(refused), { code: 'ERR_DIRECT_UNAVAILABLE', message: /appended/ })
  const preferring = createUringWriteStream(path, { flags: 'a', direct: 'prefer' })
  preferring.end('more')
  t.equal(await closing(preferring), undefined)
  t.equal(preferring.direct, false)
  t.same(readFileSync(path), Buffer.concat([content, Buffer.from('more')]))
}, notDirect)
