import { writeSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import type { ReadableStreamBYOBReader } from 'node:stream/web'
import { createUringReadableStream, open, Ring } from '../../lib/index.js'
import { ViewRead } from '../../lib/view-read.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { seededFor, sha256 } from '../helpers/seeded.js'
import { turns } from '../helpers/stream-events.js'
import { bytesOfStream, fileAndTarget, rejection } from '../helpers/web-streams.js'

type View = Uint8Array | DataView
const kinds = [
  Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array,
  BigInt64Array, BigUint64Array, DataView
] as unknown as (new (buffer: ArrayBuffer, offset?: number, length?: number) => View)[]

function bytesIn({ buffer, byteOffset, byteLength }: View): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
}

/** Reads to the end with views of the same memory. */
async function readAllInto(reader: ReadableStreamBYOBReader, memory: ArrayBuffer, offset = 0, length = memory.byteLength - offset): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let buffer = memory; ;) {
    const { value, done } = await reader.read(new Uint8Array(buffer, offset, length))
    if (done) return Buffer.concat(parts)
    parts.push(Buffer.from(value))
    buffer = value.buffer as ArrayBuffer
  }
}

for (const Kind of kinds) {
  ringTest(`a ${Kind.name} is filled with the file's bytes, small or large, at an offset of its buffer`, async t => {
    const { file } = fileAndTarget(t, 400_000)
    for (const bytes of [64, 4096, 200_000]) {
      const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' })
      const unit = (Kind as unknown as Uint8ArrayConstructor).BYTES_PER_ELEMENT ?? 1
      const memory = new ArrayBuffer(bytes + 16)
      const { value, done } = await reader.read(new Kind(memory, 8, bytes / unit) as any) as unknown as { value: View, done: boolean }
      t.equal(done, false)
      t.equal(value.constructor, Kind)
      t.equal(value.byteOffset, 8)
      t.equal(value.buffer.byteLength, bytes + 16)
      t.equal(memory.byteLength, 0, 'the memory that was given is detached')
      t.ok(value.byteLength > 0 && value.byteLength % unit === 0)
      t.ok(bytesIn(value).equals(file.content.subarray(0, value.byteLength)))
      t.same([...new Uint8Array(value.buffer, 0, 8)], Array(8).fill(0), 'what is before the view stays')
      t.same([...new Uint8Array(value.buffer, bytes + 8)], Array(8).fill(0), 'what is behind the view stays')
      await reader.cancel()
    }
  })
}

ringTest('a large view is filled by one read of the kernel, into its own memory', async t => {
  const { file } = fileAndTarget(t, 1 << 20)
  await withRing(t, {}, async ring => {
    const stream = createUringReadableStream(file.path, { ring })
    const reader = stream.getReader({ mode: 'byob' })
    await turns(3)
    const before = ring.stats().submitted
    const { value } = await reader.read(new Uint8Array(1 << 20))
    t.equal(ring.stats().submitted - before, 1)
    t.equal(ring.stats().buffersInUse, 0, 'no buffer of the ring')
    t.equal(sha256(value!), file.sha256)
    await reader.cancel()
  })
}, notUring)

ringTest('views of any size, at any place, give the file in order to its end', async t => {
  const { file } = fileAndTarget(t, 1_234_567)
  const random = seededFor(t)
  for (let round = 0; round < 25; round++) {
    const chunkSize = random.pick([1000, 65_536, 300_000])
    const size = random.pick([1, 3, 4096, 65_536, 70_000, 2_000_000]) + random.between(0, 10)
    const start = random.between(size < 100 ? 1_230_000 : 0, 1_234_567)
    const offset = random.between(0, 100)
    const reader = createUringReadableStream(file.path, { chunkSize, start }).getReader({ mode: 'byob' })
    const bytes = await readAllInto(reader, new ArrayBuffer(size + offset + 10), offset, size)
    if (!bytes.equals(file.content.subarray(start))) t.fail(JSON.stringify({ chunkSize, size, offset, start }))
  }
})

ringTest('default reads and views may alternate in any order', async t => {
  const { file } = fileAndTarget(t, 2_000_000)
  const random = seededFor(t)
  for (let round = 0; round < 15; round++) {
    const stream = createUringReadableStream(file.path, { chunkSize: random.pick([10_000, 100_000]), readAhead: random.pick([1, 4]) })
    const parts: Buffer[] = []
    for (let done = false; !done;) {
      const byob = random.chance()
      const reader = byob ? stream.getReader({ mode: 'byob' }) : stream.getReader()
      for (let reads = random.between(1, 3); reads > 0 && !done; reads--) {
        const result = await (reader as any).read(new Uint8Array(random.pick([100, 64_000, 150_000])))
        done = result.done
        if (!done) parts.push(Buffer.from(result.value))
      }
      reader.releaseLock()
    }
    if (!Buffer.concat(parts).equals(file.content)) t.fail(`round ${round}`)
  }
  t.pass('15 rounds')
})

ringTest('a view of 4 GiB, more than an operation takes, is filled as any other', async t => {
  const { file } = fileAndTarget(t, 100_000)
  let view: Uint8Array
  try {
    view = new Uint8Array(2 ** 32) // no page of it is touched that is not read into
  } catch (error) {
    return void t.pass('no such view', { skip: String(error) })
  }
  const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' })
  const { value, done } = await reader.read(view)
  t.equal(done, false)
  t.ok(file.content.equals(value!))
  t.equal(value!.buffer.byteLength, 2 ** 32)
  await reader.cancel()
})

ringTest('several views may be given at once; they are filled in order', async t => {
  const { file } = fileAndTarget(t, 900_000)
  const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' })
  const sizes = [100_000, 10, 300_000, 70_000, 5000, 1_000_000]
  const results = await Promise.all(sizes.map(size => reader.read(new Uint8Array(size))))
  const parts = results.map(({ value }) => Buffer.from(value!))
  const tail = await readAllInto(reader, new ArrayBuffer(100_000))
  t.ok(Buffer.concat([...parts, tail]).equals(file.content))
})

ringTest('at the end a view comes back empty, with its memory', async t => {
  const { file } = fileAndTarget(t, 10)
  for (const size of [100, 100_000]) {
    const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' })
    const first = await reader.read(new Uint8Array(size))
    t.ok(file.content.equals(first.value!))
    for (let i = 0; i < 2; i++) {
      const { value, done } = await reader.read(new Uint8Array(size))
      t.equal(done, true)
      t.equal(value!.byteLength, 0)
      t.equal(value!.buffer.byteLength, size)
    }
    await reader.closed
  }
})

ringTest('views that wait for the end all come back empty', async t => {
  const { file } = fileAndTarget(t, 200_000)
  const reader = createUringReadableStream(file.path, { start: 200_000 }).getReader({ mode: 'byob' })
  const results = await Promise.all([70_000, 10, 80_000].map(size => reader.read(new Uint8Array(size))))
  t.same(results.map(({ done, value }) => [done, value!.byteLength]), [[true, 0], [true, 0], [true, 0]])
})

for (const size of [8, 80_000]) {
  ringTest(`the last bytes that fill no element are an error, not lost (views of ${size} bytes)`, async t => {
    const { file } = fileAndTarget(t, size * 2 + 3)
    const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' })
    const parts: Buffer[] = []
    let failure: unknown
    for (;;) {
      const result = await reader.read(new Uint32Array(size / 4)).catch(error => { failure = error })
      if (result === undefined || result.done) break
      parts.push(bytesIn(result.value as unknown as View))
    }
    t.ok(failure instanceof TypeError)
    t.ok(Buffer.concat(parts).equals(file.content.subarray(0, size * 2)))
    t.ok(await rejection(reader.closed) instanceof TypeError)
    await turns(2)
  })
}

ringTest('a view in the way of a release is kept for the next reader', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const holder = await open(fifo, 'r+')
  const stream = createUringReadableStream(fifo)
  const first = stream.getReader({ mode: 'byob' })
  const read = first.read(new Uint8Array(100_000))
  await turns(3)
  first.releaseLock()
  t.ok(await rejection(read) instanceof TypeError, 'the read is refused')
  const second = stream.getReader()
  const next = second.read()
  writeSync(holder.fd, 'for the second')
  t.equal(Buffer.from((await next).value!).toString(), 'for the second')
  await second.cancel()
  await holder.close()
}, notUring)

ringTest('a file\'s bytes that were on their way to a released view are the next reader\'s', async t => {
  const { file } = fileAndTarget(t, 250_000)
  for (const size of [100, 100_000, 300_000]) {
    const stream = createUringReadableStream(file.path)
    const first = stream.getReader({ mode: 'byob' })
    const read = first.read(new Uint32Array(size / 4))
    first.releaseLock()
    t.ok(await rejection(read) instanceof TypeError)
    t.ok((await bytesOfStream(stream)).equals(file.content))
  }
})

ringTest('views without bytes, without memory or of no kind are refused and change nothing', async t => {
  const { file } = fileAndTarget(t, 1000)
  const stream = createUringReadableStream(file.path)
  const reader = stream.getReader({ mode: 'byob' })
  const gone = new Uint8Array(10)
  structuredClone(gone.buffer, { transfer: [gone.buffer] })
  for (const view of [new Uint8Array(0), new Uint8Array(new ArrayBuffer(5), 5), gone, new ArrayBuffer(5), {}, undefined]) {
    t.ok(await rejection(reader.read(view as any)) instanceof TypeError)
  }
  t.ok(file.content.equals((await reader.read(new Uint8Array(2000))).value!))
  reader.releaseLock()
  t.equal((await bytesOfStream(stream)).length, 0)
})

ringTest('a view of a WebAssembly memory, which cannot be transferred, is refused', async t => {
  const { file } = fileAndTarget(t, 1000)
  const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' })
  const { Memory } = (globalThis as any).WebAssembly // which the types do not have
  const memory: { buffer: ArrayBuffer } = new Memory({ initial: 1 })
  t.ok(await rejection(reader.read(new Uint8Array(memory.buffer))) instanceof TypeError)
  t.same([...new Uint8Array(memory.buffer, 0, 10)], Array(10).fill(0))
  await reader.cancel()
})

ringTest('BYOB reads of a tee are not filled with each other\'s bytes', async t => {
  const { file } = fileAndTarget(t, 500_000)
  const [one, two] = createUringReadableStream(file.path).tee()
  const read = (stream: typeof one) => readAllInto(stream.getReader({ mode: 'byob' }), new ArrayBuffer(100_000))
  const [first, second] = await Promise.all([read(one), read(two)])
  t.same([sha256(first), sha256(second)], [file.sha256, file.sha256])
})

ringTest('what is read of a file that grows and shrinks meanwhile is what it held', async t => {
  const { file } = fileAndTarget(t, 300_000)
  const handle = await open(file.path, 'r+')
  const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' })
  const { value } = await reader.read(new Uint8Array(100_000))
  await handle.write(Buffer.alloc(1000, 'g'), 0, 1000, 300_000)
  const rest = await readAllInto(reader, new ArrayBuffer(150_000))
  t.ok(Buffer.concat([value!, rest]).equals(Buffer.concat([file.content, Buffer.alloc(1000, 'g')])))
  const second = createUringReadableStream(file.path).getReader({ mode: 'byob' })
  await second.read(new Uint8Array(100_000))
  await handle.truncate(120_000)
  t.equal((await second.read(new Uint8Array(100_000))).value!.byteLength, 20_000)
  t.match(await second.read(new Uint8Array(100_000)), { done: true })
  await handle.close()
})

ringTest('a read into a view is over before cancel resolves', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const holder = await open(fifo, 'r+')
  for (let round = 0; round < 20; round++) {
    const reader = createUringReadableStream(fifo).getReader({ mode: 'byob' })
    const read = reader.read(new Uint8Array(100_000))
    await turns(round % 4)
    await reader.cancel()
    t.equal(Ring.shared().stats().inFlight, 0)
    t.match(await read, { done: true, value: undefined })
  }
  await holder.close()
}, notUring)

ringTest('cancel waits for what was read ahead when a view comes in between', async t => {
  const { file } = fileAndTarget(t, 3_000_000)
  const random = seededFor(t)
  for (let round = 0; round < 40; round++) {
    const stream = createUringReadableStream(file.path, { chunkSize: 70_000 })
    const first = stream.getReader()
    for (let reads = random.between(1, 6); reads > 0; reads--) void first.read().catch(() => {})
    await turns(random.between(0, 3))
    first.releaseLock()
    const second = stream.getReader({ mode: 'byob' })
    const read = second.read(new Uint8Array(1_000_000))
    for (let ticks = random.between(0, 6); ticks > 0; ticks--) await null
    await second.cancel()
    const { inFlight, filesInUse } = Ring.shared().stats()
    t.same({ inFlight, filesInUse }, { inFlight: 0, filesInUse: 0 })
    await read
  }
})

for (const [how, result] of [['interrupted', -constants.errno.EINTR], ['over before', 1000]] as const) {
  ringTest(`a view's read that is ${how} when it is cancelled is not begun again`, async t => {
    const [started, cancelled]: unknown[][] = [[], []]
    const ring = { start: (request: ViewRead) => started.push(request), cancel: (request: ViewRead) => cancelled.push(request) }
    const read = new ViewRead(ring as unknown as Ring, { fd: 0, index: -1 }, false, Infinity)
    read.run(new Uint8Array(2000), 2000, 0, () => {})
    const stopped = read.stop()
    t.same([started, cancelled], [[read], [read]])
    read.completed(result)
    await stopped
    t.equal(started.length, 1)
  })
}
