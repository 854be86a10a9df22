import { constants } from 'node:buffer'
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Operation } from '../../lib/index.js'
import { open, ops, Ring } from '../../lib/index.js'
import { Opcode } from '../../lib/engine.js'
import { FileRequest } from '../../lib/stream-file.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { turns, until } from '../helpers/stream-events.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const ring = Ring.shared()
const invalidState = { code: 'ERR_INVALID_STATE' }
const bytes = 48_000 // less than a FIFO holds, and a whole number of every kind

const kinds = [
  Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array,
  BigInt64Array, BigUint64Array
]

/** Every kind of memory over the middle of one ArrayBuffer, or over all of it. */
function viewsOf(buffer: ArrayBufferLike, offset: number, length: number): ArrayBufferView[] {
  const typed = kinds.map(Kind => new Kind(buffer as ArrayBuffer, offset, length / Kind.BYTES_PER_ELEMENT))
  return [...typed, new DataView(buffer, offset, length), Buffer.from(buffer as ArrayBuffer, offset, length)]
}

ringTest('every kind of view is read into and written from, at its own place', async t => {
  const directory = t.testdir()
  const { path, content } = makeFile(join(directory, 'file'), bytes)
  const target = join(directory, 'target')
  writeFileSync(target, '')
  const [source, sink] = [openSync(path, 'r'), openSync(target, 'r+')]
  for (const Memory of [ArrayBuffer, SharedArrayBuffer]) {
    const memory = new Memory(bytes + 32)
    for (const view of viewsOf(memory, 16, bytes)) {
      const { name } = view.constructor
      const all = Buffer.from(memory as ArrayBuffer).fill('.')
      t.equal((await ring.submit(ops.read(source, view, 0))).result, bytes, name)
      t.ok(all.equals(Buffer.concat([Buffer.alloc(16, '.'), content, Buffer.alloc(16, '.')])), `read into ${name} of ${Memory.name}`)
      await ring.submit(ops.write(sink, Buffer.alloc(bytes), 0))
      t.equal((await ring.submit(ops.write(sink, view, 0))).result, bytes)
      t.ok(readFileSync(target).equals(content), `written from ${name}`)
    }
    const whole = new Memory(bytes)
    await ring.submit(ops.readv(source, [whole], 0))
    t.ok(Buffer.from(whole as ArrayBuffer).equals(content), Memory.name)
    await ring.submit(ops.write(sink, Buffer.alloc(bytes), 0))
    await ring.submit(ops.write(sink, whole, 0))
    t.ok(readFileSync(target).equals(content), Memory.name)
  }
  closeSync(source)
  closeSync(sink)
})

ringTest('reads that wait for admission have no memory yet', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 4096)
  const fd = openSync(path, 'r')
  const small = new Ring({ entries: 8, cqEntries: 16 })
  const acquire = small.engine.acquireBuffer
  let most = 0
  small.engine.acquireBuffer = function (length) {
    most = Math.max(most, small.stats().inFlight)
    return acquire.call(this, length)
  }
  const target = Buffer.alloc(4096)
  const reads = Array.from({ length: 1000 }, () => small.submit(ops.read(fd, target, 0)))
  const { queued, buffersInUse, capacity } = small.stats()
  t.equal(queued, 1000 - capacity)
  t.ok(buffersInUse <= capacity, `${buffersInUse} buffers for ${capacity} in flight`)
  await Promise.all(reads)
  t.equal(most, capacity, 'all were taken at admission')
  await small.close()
  closeSync(fd)
})

ringTest('a read that there is no memory for fails in its place', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 100)
  const fd = openSync(path, 'r')
  const poor = new Ring()
  poor.engine.acquireBuffer = () => { throw new RangeError('Array buffer allocation failed') }
  await t.rejects(poor.submit(ops.read(fd, Buffer.alloc(100), 0)), { name: 'RangeError', message: 'Array buffer allocation failed' })
  if (notUring === false) {
    const completions = await poor.batch([ops.read(fd, Buffer.alloc(100), 0).link(), ops.nop()])
    t.same(completions.map(({ result }) => result), [-9, -125])
  }
  t.equal(poor.stats().inFlight, 0)
  await poor.close()
  closeSync(fd)
})

/** Gives memory away and lets the collector have it. */
async function giveAway(memory: ArrayBuffer): Promise<void> {
  structuredClone(memory, { transfer: [memory] })
  for (let i = 0; i < 3; i++) {
    await turns(1)
    collect()
  }
}

/** Ways to read into an ArrayBuffer of `bytes`. */
const reads: Record<string, (fd: number, memory: ArrayBuffer) => Operation> = {
  'a DataView': (fd, memory) => ops.read(fd, new DataView(memory)),
  'a Float64Array': (fd, memory) => ops.read(fd, new Float64Array(memory)),
  'an ArrayBuffer': (fd, memory) => ops.read(fd, memory),
  'a vector': (fd, memory) => ops.readv(fd, [new Uint8Array(memory, 0, 1000), new DataView(memory, 1000)])
}

for (const [name, read] of Object.entries(reads)) {
  ringTest(`reading into ${name} that is given away meanwhile is rejected and writes into no other memory`, async t => {
    const fd = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
    for (let round = 0; round < 3; round++) {
      const memory = new ArrayBuffer(bytes)
      const reading = ring.submit(read(fd, memory))
      await turns(3)
      t.equal(ring.stats().inFlight, 1)
      await giveAway(memory)
      const others = Array.from({ length: 50 }, () => Buffer.from(new ArrayBuffer(bytes)).fill('o'))
      const rejected = t.rejects(reading, invalidState)
      writeSync(fd, Buffer.alloc(bytes, 'r'))
      await rejected
      const untouched = Buffer.alloc(bytes, 'o')
      t.equal(others.filter(other => !other.equals(untouched)).length, 0)
    }
    closeSync(fd)
  }, notUring)
}

ringTest('only the part of a vector that stays is filled', async t => {
  const fd = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const [stays, goes] = [new ArrayBuffer(1000), new ArrayBuffer(1000)]
  const reading = ring.submit(ops.readv(fd, [stays, goes]))
  await turns(2)
  await giveAway(goes)
  const words = patterned(1000)
  writeSync(fd, words)
  t.equal((await reading).result, 1000, 'nothing was for the one that has gone')
  t.ok(Buffer.from(stays).equals(words))
  closeSync(fd)
})

ringTest('shared memory is filled in place', async t => {
  const fd = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const memory = new SharedArrayBuffer(1000)
  const { buffersInUse } = ring.stats()
  const reading = ring.submit(ops.read(fd, memory))
  await turns(2)
  t.equal(ring.stats().buffersInUse, buffersInUse, 'no memory of the ring is used')
  const words = patterned(1000)
  writeSync(fd, words)
  await reading
  t.ok(Buffer.from(memory).equals(words))
  closeSync(fd)
})

type Resizable = ArrayBuffer & { resize(bytes: number): void }

function resizable(byteLength: number, maxByteLength: number): Resizable {
  return new (ArrayBuffer as unknown as new (bytes: number, options: object) => Resizable)(byteLength, { maxByteLength })
}

ringTest('a read into memory that shrinks meanwhile is rejected, and a view that follows is filled as far as it goes', async t => {
  const fd = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const words = patterned(bytes)
  const views: [view: (memory: Resizable) => ArrayBuffer | ArrayBufferView, filled: Buffer][] = [
    [memory => memory, words.subarray(0, 10)],
    [memory => new Uint8Array(memory), words.subarray(0, 10)],
    [memory => new Uint8Array(memory, 0, bytes), Buffer.alloc(10)], // it has no bytes any more
    [memory => new DataView(memory, 0, bytes), Buffer.alloc(10)]
  ]
  for (const [view, filled] of views) {
    const memory = resizable(bytes, bytes * 2)
    const reading = ring.submit(ops.read(fd, view(memory)))
    await turns(2)
    memory.resize(10)
    const rejected = t.rejects(reading, invalidState)
    writeSync(fd, words)
    await rejected
    t.ok(Buffer.from(memory).equals(filled))
  }
  const memory = resizable(1000, 2000)
  const reading = ring.submit(ops.read(fd, memory))
  await turns(2)
  memory.resize(2000)
  writeSync(fd, patterned(1000))
  t.equal((await reading).result, 1000, 'one that grows')
  t.ok(Buffer.from(memory, 0, 1000).equals(patterned(1000)))
  closeSync(fd)
}, notUring)

ringTest('a write from memory that is given away or shrinks meanwhile is rejected', async t => {
  const path = makeFifo(join(t.testdir(), 'fifo'))
  const fd = openSync(path, 'r+')
  const full = Buffer.alloc(65_536)
  const changes: ((memory: Resizable) => Promise<void>)[] = [async memory => memory.resize(10), giveAway]
  for (const change of changes) {
    for (const write of [(memory: Resizable) => ops.write(fd, memory), (memory: Resizable) => ops.writev(fd, [memory])]) {
      await ring.submit(ops.write(fd, full))
      const memory = resizable(bytes, bytes)
      const writing = ring.submit(write(memory))
      await until(() => ring.stats().inFlight === 1)
      await turns(2)
      await change(memory)
      const ended = writing.catch(error => error)
      await ring.submit(ops.read(fd, full))
      t.match(await ended, invalidState)
      writeSync(fd, '.') // so that there is something to read: a worker of the kernel may have written nothing
      await ring.submit(ops.read(fd, full))
    }
  }
  closeSync(fd)
})

/** Operations on an ArrayBuffer of `bytes`, at the file's beginning. */
const uses: Record<string, (fd: number, memory: ArrayBuffer) => Operation> = {
  read: (fd, memory) => ops.read(fd, memory, 0),
  readv: (fd, memory) => ops.readv(fd, [memory], 0),
  write: (fd, memory) => ops.write(fd, memory, 0),
  writev: (fd, memory) => ops.writev(fd, [Buffer.alloc(1), memory], 0)
}

for (const [name, use] of Object.entries(uses)) {
  ringTest(`${name} of memory that is given away while it waits for admission is rejected`, async t => {
    const { path } = makeFile(join(t.testdir(), 'file'), bytes)
    const fd = openSync(path, 'r+')
    await withRing(t, { entries: 1, cqEntries: 2 }, async small => { // with room for one
      const ahead = new AbortController()
      const waiting = small.submit(ops.timeout(1e6), { signal: ahead.signal }).catch(error => error)
      const memory = new ArrayBuffer(bytes)
      const ended = small.submit(use(fd, memory)).catch(error => error)
      t.equal(small.stats().queued, 1)
      structuredClone(memory, { transfer: [memory] })
      ahead.abort()
      await waiting
      t.match(await ended, { ...invalidState, message: /detached/ })
    })
    closeSync(fd)
  })
}

ringTest('what is linked behind a write of memory that was given away is cancelled', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), bytes)
  const fd = openSync(path, 'r+')
  const memory = new ArrayBuffer(bytes)
  const write = ops.write(fd, memory, 0).link()
  structuredClone(memory, { transfer: [memory] })
  t.same((await ring.batch([write, ops.nop()])).map(({ result }) => result), [-14, -125], 'EFAULT, ECANCELED')
  t.ok(readFileSync(path).equals(content))
  closeSync(fd)
})

ringTest('memory is held while an operation has it, by nobody else', async t => {
  const fd = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  await ring.submit(ops.write(fd, Buffer.alloc(65_536)))
  const words = patterned(bytes)
  const writing = ring.submit(ops.write(fd, Buffer.from(words.buffer.slice(0)))) // only the operation knows it
  for (let i = 0; i < 5; i++) {
    await turns(1)
    collect()
    Array.from({ length: 50 }, () => Buffer.from(new ArrayBuffer(bytes)).fill('o'))
  }
  await ring.submit(ops.read(fd, Buffer.alloc(65_536)))
  t.equal((await writing).result, bytes)
  const back = Buffer.alloc(bytes)
  await ring.submit(ops.read(fd, back))
  t.ok(back.equals(words))
  closeSync(fd)
})

ringTest('a file takes every kind of memory too', async t => {
  const path = join(t.testdir(), 'file')
  const file = await open(path, 'w+')
  const words = patterned(bytes)
  for (const memory of [new SharedArrayBuffer(bytes), new ArrayBuffer(bytes)]) {
    Buffer.from(memory as ArrayBuffer).set(words)
    t.equal((await file.write(memory, 0, bytes, 0)).bytesWritten, bytes)
    t.ok(readFileSync(path).equals(words))
    Buffer.from(memory as ArrayBuffer).fill(0)
    const { bytesRead, buffer } = await file.read(new BigInt64Array(memory as ArrayBuffer), 0, bytes, 0)
    t.equal(bytesRead, bytes)
    t.ok(buffer instanceof BigInt64Array, 'the caller gets his own back')
    t.ok(Buffer.from(memory as ArrayBuffer).equals(words))
  }
  await file.close()
})

ringTest('of a buffer of more than 4 GiB what lies behind is written as well', async t => {
  const path = join(t.testdir(), 'file')
  const fd = openSync(path, 'w')
  const large = new Uint8Array(2 ** 32 + bytes) // no page of it is touched before
  large.set(patterned(bytes, 7), 2 ** 32)
  const written = new Promise<number>((resolve, reject) => {
    const request = new FileRequest('write', (error, result) => error === null ? resolve(result) : reject(error))
    request.opcode = Opcode.write
    request.file = { fd, index: -1 }
    request.memory = large
    request.offset = 2 ** 32
    request.length = bytes
    ring.start(request)
  })
  t.equal(await written, bytes)
  closeSync(fd)
  t.ok(readFileSync(path).equals(patterned(bytes, 7)))
}, constants.MAX_LENGTH <= 2 ** 32 && 'this Node.js has no such buffers')
