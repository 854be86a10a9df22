// What a full io_uring library in another language tests of itself, here.
import { closeSync, fstatSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { BufferPool, open, ops, Ring } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { until } from '../helpers/stream-events.js'

const ring = Ring.shared()
const ETIME = -62
const ECANCELED = -125

ringTest('30,000 writes at once put every byte in its place', async t => {
  const path = join(t.testdir(), 'file')
  const count = 30_000
  const size = 100
  const content = patterned(count * size)
  const file = await open(path, 'w+')
  const parts = Array.from({ length: count }, (_, i) => content.subarray(i * size, (i + 1) * size))
  const written = await Promise.all(parts.map((part, i) => file.write(part, 0, size, i * size)))
  t.equal(written.filter(({ bytesWritten, buffer }, i) => bytesWritten === size && buffer === parts[i]).length, count)
  t.ok(readFileSync(path).equals(content), 'read by node:fs')
  const read = await Promise.all(parts.map((_, i) => file.read(Buffer.alloc(size), 0, size, i * size)))
  t.ok(Buffer.concat(read.map(({ buffer }) => buffer)).equals(content), 'read at once')
  await file.close()
})

ringTest('results do not change while a timeout is pending', async t => {
  const controller = new AbortController()
  const timeout = ring.submit(ops.timeout(600_000), { signal: controller.signal })
  const { fd } = await open(join(t.testdir(), 'file'), 'w+').then(async file => {
    for (let i = 1; i <= 100; i++) {
      t.equal((await file.write(Buffer.alloc(i, i), 0, i, 0)).bytesWritten, i)
      const { bytesRead, buffer } = await file.read(Buffer.alloc(200), 0, 200, 0)
      if (bytesRead !== i || !buffer.subarray(0, i).equals(Buffer.alloc(i, i))) t.fail(`round ${i}: ${bytesRead}`)
    }
    await file.close()
    return file
  })
  t.equal(fd, -1)
  t.equal(ring.stats().inFlight, 1, 'the timeout')
  controller.abort()
  await t.rejects(timeout, { code: 'ABORT_ERR' })
})

ringTest('entries and slots are used again, many times over', async t => {
  await withRing(t, { entries: 2, cqEntries: 4 }, async ring => {
    const fd = openSync('/dev/zero', 'r')
    for (let round = 0; round < 500; round++) {
      const buffer = Buffer.alloc(10, 'x')
      const [nop, read, bad] = await ring.batch([ops.nop(), ops.read(fd, buffer), ops.close(999_999)])
      if (nop.result !== 0 || read.result !== 10 || bad.result !== -9 || buffer.some(byte => byte !== 0)) t.fail(`round ${round}`)
    }
    t.equal(ring.stats().completed, 1500)
    closeSync(fd)
  })
})

ringTest('more may be submitted from callbacks before anything has completed', async t => {
  await withRing(t, { entries: 4, cqEntries: 8 }, async ring => {
    const results = new Map<number, number>()
    await new Promise<void>(resolve => {
      const submit = (depth: number): void => ring.submit(ops.nop(), (error, result) => {
        results.set(depth, (results.get(depth) ?? 0) + (error === null && result === 0 ? 1 : 0))
        if (depth < 10) {
          submit(depth + 1)
          submit(depth + 1)
        } else if (results.get(10) === 2 ** 10) {
          resolve()
        }
      })
      submit(0)
    })
    t.same([...results], Array.from({ length: 11 }, (_, i) => [i, 2 ** i]))
  })
})

ringTest('a callback that throws is the process\'s to hear of, and the others are called', async t => {
  const thrown = new Promise<Error>(resolve => process.once('uncaughtException', resolve))
  const called: number[] = []
  for (let i = 0; i < 5; i++) {
    ring.submit(ops.nop(), () => {
      called.push(i)
      if (i === 2) throw new Error('of a callback')
    })
  }
  t.match(await thrown, { message: 'of a callback' })
  await until(() => called.length === 5)
  t.same(called, [0, 1, 2, 3, 4])
})

ringTest('hundreds of files are opened and closed in rounds, and each is its own', async t => {
  const directory = t.testdir()
  for (let round = 0; round < 3; round++) {
    const count = 300
    const files = await Promise.all(Array.from({ length: count }, (_, i) => open(join(directory, `${i}`), 'w+')))
    await Promise.all(files.map((file, i) => file.write(`${round}:${i}`, 0)))
    const texts = await Promise.all(files.map(async file => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20, 0)
      return buffer.toString('utf8', 0, bytesRead)
    }))
    t.same(texts, Array.from({ length: count }, (_, i) => `${round}:${i}`))
    await Promise.all(files.map(file => file.close()))
    t.equal(ring.stats().filesInUse, 0)
    t.equal(readFileSync(join(directory, '299'), 'utf8'), `${round}:299`)
  }
})

ringTest('buffers of a pool are used again by many writers', async t => {
  const path = join(t.testdir(), 'file')
  const content = patterned(500 * 1000)
  await withRing(t, {}, async ring => {
    const pool = new BufferPool(ring, { bufferSize: 1000, count: 3 })
    const file = await open(path, 'w', { ring })
    await Promise.all(Array.from({ length: 500 }, async (_, i) => {
      const buffer = await pool.acquire()
      content.copy(buffer.bytes, 0, i * 1000, (i + 1) * 1000)
      await file.writeFixed(buffer, i * 1000)
      buffer.release()
    }))
    t.ok(readFileSync(path).equals(content))
    t.equal(pool.free, 3)
    await file.close()
    pool.close()
  })
})

ringTest('a write after close gives EBADF, and an empty write nothing', async t => {
  const path = join(t.testdir(), 'file')
  writeFileSync(path, 'content')
  const file = await open(path, 'r+')
  t.match(await file.write(Buffer.alloc(0), 0, 0, 3), { bytesWritten: 0 })
  t.match(await file.write('', 3), { bytesWritten: 0, buffer: '' })
  t.match(await file.writev([], 3), { bytesWritten: 0, buffers: [] })
  await file.close()
  await t.rejects(file.write('late'), { code: 'EBADF' })
  t.equal(readFileSync(path, 'utf8'), 'content')
})

ringTest('a timeout elapses with ETIME, and with 0 after so many completions', async t => {
  t.equal((await ring.submit(ops.timeout(1))).result, ETIME)
  const now = Number(process.hrtime.bigint()) / 1e6
  t.equal((await ring.submit(ops.timeout(now + 5, { absolute: true }))).result, ETIME)
  t.ok(Number(process.hrtime.bigint()) / 1e6 >= now + 5, 'not before its time')
  t.equal((await ring.submit(ops.timeout(0.5))).result, ETIME)
  const counted = ring.submit(ops.timeout(600_000, { count: 3 }))
  await ring.batch([ops.nop(), ops.nop(), ops.nop()])
  t.equal((await counted).result, 0)
}, notUring)

ringTest('a linked timeout cancels a whole chain', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const buffer = Buffer.alloc(1)
  const completions = await ring.batch([ops.read(fifo, buffer).link(), ops.linkTimeout(5).link(), ops.nop()])
  t.same(completions.map(({ result }) => result), [ECANCELED, ETIME, ECANCELED])
  writeSync(fifo, 'x')
  t.equal((await ring.submit(ops.read(fifo, buffer))).result, 1)
  t.ok(fstatSync(fifo).isFIFO())
  closeSync(fifo)
}, notUring)
