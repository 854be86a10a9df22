import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { FixedBuffer } from '../../lib/index.js'
import { BufferPool, open, ops, Ring } from '../../lib/index.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { turns } from '../helpers/stream-events.js'

const invalidState = { code: 'ERR_INVALID_STATE' }

ringTest('who waits for a buffer gets one in the order of asking', async t => {
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 4096, count: 2 })
    t.equal(pool.free, 2)
    const held = [await pool.acquire(), await pool.acquire()]
    t.equal(pool.free, 0)
    t.equal(pool.tryAcquire(), null)
    const got: number[] = []
    const waiting = [0, 1, 2].map(async i => {
      const buffer = await pool.acquire()
      got.push(i)
      return buffer
    })
    await turns(2)
    t.same(got, [])
    for (const buffer of held) buffer.release()
    t.equal(pool.free, 0, 'they went to those who wait')
    const [first, second] = await Promise.all(waiting.slice(0, 2))
    t.same(got, [0, 1])
    first.release()
    const third = await waiting[2]
    second.release()
    third.release()
    t.equal(pool.free, 2)
    pool.close()
  })
})

ringTest('who comes when nobody waits any more is served in order as well', async t => {
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 4096, count: 1 })
    for (const round of [1, 2, 3]) {
      const held = await pool.acquire()
      const controller = new AbortController()
      const got: number[] = []
      const gone = pool.acquire({ signal: controller.signal })
      const waiting = [0, 1, 2].map(async i => {
        const buffer = await pool.acquire()
        got.push(i)
        buffer.release()
      })
      controller.abort()
      await t.rejects(gone, { code: 'ABORT_ERR' })
      held.release()
      await Promise.all(waiting)
      t.same(got, [0, 1, 2], `round ${round}`)
      t.equal(pool.free, 1, 'with nobody waiting a buffer goes back')
    }
    pool.close()
  })
})

ringTest('waiting ends with the signal, and nobody else is passed over', async t => {
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 4096, count: 1 })
    await t.rejects(pool.acquire({ signal: AbortSignal.abort('before') }), { code: 'ABORT_ERR', cause: 'before' })
    t.equal(pool.free, 1)
    const held = await pool.acquire()
    const controller = new AbortController()
    const gone = pool.acquire({ signal: controller.signal })
    const next = pool.acquire()
    controller.abort('meanwhile')
    await t.rejects(gone, { name: 'AbortError', cause: 'meanwhile' })
    held.release()
    const buffer = await next
    buffer.release()
    t.equal(pool.free, 1)
    pool.close()
  })
})

ringTest('a released buffer can neither be used nor released, and stale views show nothing', async t => {
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 4096, count: 1 })
    const buffer = await pool.acquire()
    const view = buffer.bytes
    const part = view.subarray(10, 20)
    const built = ops.writeFixed(0, buffer, 0)
    t.same([view.length, part.length, buffer.length], [4096, 10, 4096])
    buffer.release()
    t.same([view.length, part.length, view.buffer.byteLength], [0, 0, 0])
    t.throws(() => buffer.release(), invalidState)
    t.throws(() => buffer.bytes, invalidState)
    t.throws(() => buffer.length, invalidState)
    t.throws(() => ops.readFixed(0, buffer), invalidState)
    await t.rejects(ring.submit(built), invalidState, 'what was built before')
    t.equal(pool.free, 1, 'it is in the pool once')
    pool.close()
  })
})

ringTest('leaving a scope releases a buffer, once', async t => {
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 4096, count: 1 })
    const buffer = await pool.acquire()
    buffer[Symbol.dispose]()
    t.equal(pool.free, 1)
    buffer[Symbol.dispose]()
    t.equal(pool.free, 1, 'a buffer that was released by hand is left alone')
    pool.close()
  })
})

ringTest('leaving a scope closes rings and pools', async t => {
  let left
  {
    await using ring = new Ring()
    using pool = new BufferPool(ring, { bufferSize: 100, count: 1 })
    using buffer = await pool.acquire()
    t.equal(buffer.length, 100)
    left = { ring, pool }
  }
  t.throws(() => left.pool.tryAcquire(), { code: 'ERR_INVALID_STATE' })
  await t.rejects(left.ring.submit(ops.nop()), { code: 'ERR_INVALID_STATE' })
})

ringTest('a pool has as many buffers as asked for, also beyond the registered memory', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 40 * 512 * 1024)
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 512 * 1024, count: 40 }) // 20 MiB
    const fd = openSync(path, 'r')
    const buffers = await Promise.all(Array.from({ length: 40 }, () => pool.acquire()))
    await ring.batch(buffers.map((buffer, i) => ops.readFixed(fd, buffer, i * buffer.length)))
    t.ok(Buffer.concat(buffers.map(({ bytes }) => bytes)).equals(content))
    for (const buffer of buffers) buffer.release()
    t.equal(pool.free, 40)
    pool.close()
    closeSync(fd)
  })
})

ringTest('a buffer that is released in flight comes back after its completion', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 4096, count: 1 })
    const buffer = await pool.acquire()
    const view = buffer.bytes
    const reads = [ring.submit(ops.readFixed(fifo, buffer, null, { length: 1 })), ring.submit(ops.readFixed(fifo, buffer, null, { offset: 1, length: 1 }))]
    await turns(2)
    buffer.release()
    t.equal(pool.free, 0)
    t.equal(view.length, 4096, 'its memory is still there')
    t.throws(() => ops.readFixed(fifo, buffer), invalidState, 'but not for anything new')
    const next = pool.acquire()
    writeSync(fifo, 'a')
    await Promise.race(reads)
    t.equal(view.length, 4096, 'another operation has it')
    writeSync(fifo, 'b')
    await Promise.all(reads)
    t.equal(view.length, 0)
    ;(await next).release()
    t.equal(pool.free, 1)
    pool.close()
  })
  closeSync(fifo)
})

ringTest('a pool that closes takes back what is out as it is released, and gives nothing more', async t => {
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 4096, count: 2 })
    const held = [await pool.acquire(), await pool.acquire()]
    const waiting = pool.acquire()
    pool.close()
    await t.rejects(waiting, invalidState)
    await t.rejects(pool.acquire(), invalidState)
    t.throws(() => pool.tryAcquire(), invalidState)
    held[0].bytes.fill(1)
    for (const buffer of held) buffer.release()
    t.equal(pool.free, 0)
    pool.close()
  })
})

ringTest('a ring that closes closes its pools: who waits is told, and who holds a buffer is waited for', async t => {
  const ring = new Ring()
  const [pool, other] = [1, 2].map(count => new BufferPool(ring, { bufferSize: 4096, count }))
  const held = await pool.acquire()
  const waiting = pool.acquire()
  let closed = false
  const closing = ring.close().then(() => { closed = true })
  await t.rejects(waiting, invalidState)
  await t.rejects(pool.acquire(), invalidState)
  t.throws(() => other.tryAcquire(), invalidState)
  t.throws(() => new BufferPool(ring, { bufferSize: 4096, count: 1 }), invalidState)
  await turns(3)
  t.equal(closed, false)
  t.equal(held.bytes.length, 4096, 'its memory is still there')
  held.release()
  await closing
  t.equal(ring.stats().buffersInUse, 0)
})

ringTest('a ring that closes waits for the buffers of a pool that was closed before', async t => {
  const ring = new Ring()
  const pool = new BufferPool(ring, { bufferSize: 4096, count: 2 })
  const held = [await pool.acquire(), await pool.acquire()]
  pool.close()
  let closed = false
  const closing = ring.close().then(() => { closed = true })
  for (const buffer of held) {
    await turns(3)
    t.equal(closed, false)
    buffer.release()
  }
  await closing
  t.equal(ring.stats().buffersInUse, 0)
})

ringTest('a pool is of a ring', async t => {
  for (const ring of [undefined, null, {}, 'ring']) {
    t.throws(() => new BufferPool(ring as never, { bufferSize: 4096, count: 1 }), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})

ringTest('readFixed and writeFixed move a range of a buffer', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 10_000)
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 4096, count: 1 })
    const file = await open(path, 'r+', { ring })
    const buffer = await pool.acquire()
    buffer.bytes.fill('.')
    t.match(await file.readFixed(buffer, 5000, { offset: 100, length: 200 }), { bytesRead: 200, buffer })
    t.ok(buffer.bytes.equals(Buffer.concat([Buffer.alloc(100, '.'), content.subarray(5000, 5200), Buffer.alloc(3796, '.')])))
    t.match(await file.writeFixed(buffer, 0, { offset: 90, length: 20 }), { bytesWritten: 20, buffer })
    t.ok(readFileSync(path).subarray(0, 20).equals(Buffer.concat([Buffer.alloc(10, '.'), content.subarray(5000, 5010)])))
    t.equal((await file.readFixed(buffer, 9000n)).bytesRead, 1000, 'the end of the file')
    for (const range of [{ offset: 4097 }, { offset: -1 }, { length: 4097 }, { offset: 1, length: 4096 }, { length: 1.5 }]) {
      await t.rejects(file.readFixed(buffer, 0, range), { code: 'ERR_OUT_OF_RANGE' })
      await t.rejects(file.writeFixed(buffer, 0, range), { code: 'ERR_OUT_OF_RANGE' })
    }
    await file.close()
    buffer.release()
    pool.close()
  })
})

ringTest('a buffer of one ring works on another, and on threads', async t => {
  const path = join(t.testdir(), 'file')
  await withRing(t, {}, async home => {
    const pool = new BufferPool(home, { bufferSize: 4096, count: 2 })
    const [unused, buffer] = [await pool.acquire(), await pool.acquire()]
    for (const ring of [new Ring(), new Ring({ engine: 'threads' })]) {
      const file = await open(path, 'w+', { ring })
      const words = patterned(4096)
      buffer.bytes.set(words)
      await file.writeFixed(buffer, 0)
      t.ok(readFileSync(path).equals(words))
      buffer.bytes.fill(0)
      t.equal((await file.readFixed(buffer, 0)).bytesRead, 4096)
      t.ok(buffer.bytes.equals(words))
      await file.close()
      await ring.close()
    }
    unused.release()
    buffer.release()
    pool.close()
  })
})

ringTest('buffers are used again, and the arena does not grow', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 1_000_000)
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 8192, count: 4 })
    const { buffersInUse } = ring.stats()
    const file = await open(path, 'r', { ring })
    const parts: Buffer[] = []
    const readPart = async (buffer: FixedBuffer, i: number): Promise<void> => {
      const { bytesRead } = await file.readFixed(buffer, i * 8192)
      parts[i] = Buffer.from(buffer.bytes.subarray(0, bytesRead))
      buffer.release()
    }
    await Promise.all(Array.from({ length: Math.ceil(content.length / 8192) }, async (_, i) => readPart(await pool.acquire(), i)))
    t.ok(Buffer.concat(parts).equals(content))
    t.equal(ring.stats().buffersInUse, buffersInUse)
    t.equal(pool.free, 4)
    await file.close()
    pool.close()
  })
})

ringTest('beyond the arena a buffer that is given away while it is read into stays as it was', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 1 << 20, count: 17 })
    const held: FixedBuffer[] = []
    while (pool.free > 0) held.push(await pool.acquire())
    const buffer = held.find(({ bytes }) => bytes.buffer.byteLength > 1 << 20)! // its own, with room to align
    buffer.bytes.fill(7)
    const reading = ring.submit(ops.readFixed(fifo, buffer, null, { offset: 10, length: 100 }))
    const taken = structuredClone(buffer.bytes, { transfer: [buffer.bytes.buffer as ArrayBuffer] })
    writeSync(fifo, 'something else')
    await t.rejects(reading, invalidState)
    t.ok(taken.every(byte => byte === 7))
    for (const each of held) each.release()
    pool.close()
  })
  closeSync(fifo)
})

ringTest('beyond the arena a read fills the part of a buffer that it is for', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 2 << 20)
  await withRing(t, {}, async ring => {
    const file = await open(path, 'r', { ring })
    const pool = new BufferPool(ring, { bufferSize: 1 << 20, count: 17 })
    const held: FixedBuffer[] = []
    while (pool.free > 0) held.push(await pool.acquire())
    for (const buffer of held) {
      buffer.bytes.fill(0)
      const reading = file.readFixed(buffer, 12345, { offset: 100, length: 500_000 })
      t.equal((await reading).bytesRead, 500_000)
      t.ok(buffer.bytes.subarray(100, 500_100).equals(content.subarray(12345, 512_345)))
      t.notOk(buffer.bytes[99] | buffer.bytes[500_100])
      buffer.release()
    }
    pool.close()
    await file.close()
  })
})
