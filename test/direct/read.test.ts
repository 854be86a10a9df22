// O_DIRECT takes whole units only; a user of `direct: true` must not notice.
import { appendFileSync, closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { createUringReadableStream, createUringReadStream, createUringWriteStream, open } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import { withoutDirect } from '../helpers/image.js'
import { notDirect, ringTest } from '../helpers/ring-state.js'
import { seededFor, sha256 } from '../helpers/seeded.js'
import { closing, readAll } from '../helpers/stream-events.js'

const chunkSize = 8192
/** Around everything that has a boundary. */
const edges = [0, 1, 511, 512, 4095, 4096, 4097, chunkSize - 1, chunkSize, chunkSize + 1]

ringTest('direct reads give any range of a file of any size, byte for byte', async t => {
  const directory = t.testdir()
  let wrong = 0
  let ranges = 0
  for (const size of [...edges, 2 * chunkSize, 3 * chunkSize + 1]) {
    const { path, content } = makeFile(join(directory, `of-${size}`), size)
    for (const start of edges) {
      for (const length of edges.slice(1)) {
        const end = start + length - 1
        const stream = createUringReadStream(path, { direct: true, start, end, chunkSize, buffers: ranges % 2 === 0 ? 'owned' : 'leased' })
        const parts: Buffer[] = []
        stream.on('data', (chunk: Buffer) => parts.push(Buffer.from(chunk)))
        const failure = await closing(stream)
        const read = Buffer.concat(parts)
        ranges++
        if (failure === undefined && stream.direct && stream.bytesRead === read.length && read.equals(content.subarray(start, end + 1))) continue
        wrong++
        t.fail(`start ${start}, end ${end} of ${size}: ${failure?.message ?? `${read.length} bytes`}`)
      }
    }
  }
  t.equal(wrong, 0, `${ranges} ranges`)
}, notDirect)

ringTest('direct reads of whole files in chunks of any size are what buffered reads give', async t => {
  const random = seededFor(t)
  const directory = t.testdir()
  for (let round = 0; round < 40; round++) {
    const size = random.pick([0, 1, 4096, 65_536, random.between(0, 3_000_000)])
    const { path, content } = makeFile(join(directory, `round-${round}`), size)
    const start = random.between(0, size + 10)
    const options = {
      start, end: random.chance() ? start + random.between(0, size) : undefined,
      chunkSize: random.pick([1, 1000, 4096, 100_000, 1 << 20, 3 << 20]), readAhead: random.pick([1, 2, 8]), direct: true as const
    }
    const expected = content.subarray(start, (options.end ?? Infinity) + 1)
    const read = await readAll(createUringReadStream(path, options))
    t.ok(read.equals(expected), `${size} bytes, ${JSON.stringify(options)}`)
    const chunks: Uint8Array[] = []
    for await (const chunk of createUringReadableStream(path, options)) chunks.push(chunk)
    t.ok(Buffer.concat(chunks).equals(expected), 'and so gives the Web stream')
  }
}, notDirect)

ringTest('a direct BYOB reader gets the same bytes in views of any size', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 1_000_003)
  const reader = createUringReadableStream(path, { direct: true, start: 7 }).getReader({ mode: 'byob' })
  const parts: Buffer[] = []
  for (let bytes = 1; ; bytes = bytes * 3 + 1) {
    const { value, done } = await reader.read(new Uint8Array(Math.min(bytes, 300_000)))
    if (done) break
    parts.push(Buffer.from(value))
  }
  t.ok(Buffer.concat(parts).equals(content.subarray(7)))
}, notDirect)

ringTest('a direct stream of a given descriptor begins at its position and leaves it behind what was read', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 20_000)
  const fd = openSync(path, 'r')
  const stream = createUringReadStream('', { fd, direct: true, autoClose: false, end: 9_998 })
  const parts: Buffer[] = []
  stream.on('data', (chunk: Buffer) => parts.push(chunk))
  await new Promise(resolve => stream.once('end', resolve))
  t.ok(Buffer.concat(parts).equals(content.subarray(0, 9_999)))
  t.equal(stream.direct, true)
  const rest = readFileSync(fd)
  t.equal(sha256(rest), sha256(content.subarray(9_999)), 'the rest is read from there')
  stream.destroy()
  await closing(stream)
  t.throws(() => closeSync(fd), 'the stream has closed it')
}, notDirect)

ringTest('what a file that grows meanwhile gains is read, too', async t => {
  const directory = t.testdir()
  const { path, content } = makeFile(join(directory, 'file'), 5000)
  const more = makeFile(join(directory, 'more'), 10_000).content
  const stream = createUringReadStream(path, { direct: true })
  await new Promise(resolve => stream.once('open', resolve))
  appendFileSync(path, more)
  const read = await readAll(stream)
  t.ok(read.equals(Buffer.concat([content, more])))
}, notDirect)

ringTest('where the file system refuses O_DIRECT, true fails and prefer goes on', async t => {
  const path = '/proc/self/limits'
  const refused = createUringReadStream(path, { direct: true })
  const error = await closing(refused)
  t.match(error, { code: 'ERR_DIRECT_UNAVAILABLE', message: /'\/proc\/self\/limits' is not available \(EINVAL\): the file system refuses/ })
  const preferring = createUringReadStream(path, { direct: 'prefer' })
  const read = await readAll(preferring)
  t.equal(read.toString(), readFileSync(path, 'utf8'))
  t.equal(preferring.direct, false)
  const web = createUringReadableStream(path, { direct: true })
  await t.rejects(web.getReader().read(), { code: 'ERR_DIRECT_UNAVAILABLE' })
  await t.rejects(open(path, 'r', { direct: true }), { code: 'ERR_DIRECT_UNAVAILABLE' })
}, notDirect)

ringTest('a file system without O_DIRECT: true fails and leaves nothing open, prefer goes on and says so', async t => {
  await withoutDirect(t, async disk => {
    const { path, content } = makeFile(join(disk, 'file'), 300_001)
    const refusal = { code: 'ERR_DIRECT_UNAVAILABLE', message: /\(EINVAL\): the file system refuses O_DIRECT/ }
    t.match(await closing(createUringReadStream(path, { direct: true })), refusal)
    for (const atomic of [false, true]) {
      t.match(await closing(createUringWriteStream(join(disk, 'new'), { direct: true, atomic })), refusal)
    }
    await t.rejects(open(path, 'r+', { direct: true }), refusal)
    const reader = createUringReadStream(path, { direct: 'prefer', start: 3 })
    const writer = createUringWriteStream(join(disk, 'copy'), { direct: 'prefer', start: 3 })
    await pipeline(reader, writer)
    t.same([reader.direct, writer.direct], [false, false])
    t.ok(readFileSync(join(disk, 'copy')).subarray(3).equals(content.subarray(3)))
    const file = await open(path, 'r', { direct: 'prefer' })
    t.equal(file.direct, false)
    const { buffer } = await file.read(Buffer.alloc(100), 0, 100, 5)
    t.ok(buffer.equals(content.subarray(5, 105)))
    await file.close()
  })
}, notDirect)

t.test('direct is true, false or prefer', async t => {
  for (const direct of ['yes', 1, null] as unknown as true[]) {
    t.throws(() => createUringReadStream('x', { direct }), { code: 'ERR_INVALID_ARG_VALUE' })
    t.throws(() => createUringWriteStream('x', { direct }), { code: 'ERR_INVALID_ARG_VALUE' })
    t.throws(() => createUringReadableStream('x', { direct }), { code: 'ERR_INVALID_ARG_VALUE' })
  }
})

ringTest('an engine of threads reads and writes direct, too', async t => {
  const directory = t.testdir()
  const { path, content } = makeFile(join(directory, 'file'), 3_000_001)
  const reader = createUringReadStream(path, { direct: true, engine: 'threads', start: 5, buffers: 'leased' })
  const writer = createUringWriteStream(join(directory, 'copy'), { direct: true, engine: 'threads', start: 5 })
  await pipeline(reader, writer)
  t.same([reader.direct, writer.direct], [true, true])
  t.equal(sha256(readFileSync(join(directory, 'copy')).subarray(5)), sha256(content.subarray(5)))
}, notDirect)
