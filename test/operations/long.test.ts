/** Operations of more than one can carry: of more than 1024 buffers, or of more than 0x7ffff000 bytes. */
import { closeSync, ftruncateSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Operation } from '../../lib/index.js'
import { ops, Ring } from '../../lib/index.js'
import { IOSQE_ASYNC, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK } from '../../lib/engine.js'
import type { LongOperation } from '../../lib/long-operation.js'
import { makeFifo } from '../helpers/files.js'
import { isMarked, largeMemory, length, markFile, tooSmall } from '../helpers/large-memory.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { turns, until } from '../helpers/stream-events.js'

const ring = Ring.shared()
const ECANCELED = -125

/** Parts of the content, some of them empty. */
function parts(content: Buffer, count: number): Buffer[] {
  const size = Math.ceil(content.length / count)
  return Array.from({ length: count * 2 }, (_, i) => content.subarray(i % 2 === 0 ? content.length : size * (i >> 1), size * ((i >> 1) + 1)))
}

ringTest('three thousand buffers are written, alone and in a chain', async t => {
  const path = join(t.testdir(), 'file')
  const fd = openSync(path, 'w+')
  const content = patterned(100_000)
  t.equal((await ring.submit(ops.writev(fd, parts(content, 1500), 5))).result, content.length)
  t.ok(readFileSync(path).subarray(5).equals(content))
  const back = Buffer.alloc(content.length)
  const batch = await ring.batch([
    ops.nop(), ops.writev(fd, parts(content, 1500), 0).drain().link(), ops.read(fd, back, 0).link(), ops.fsync(fd), ops.nop()
  ])
  t.same(batch.map(({ result }) => result), [0, content.length, content.length, 0, 0])
  t.ok(back.equals(content))
  for (const position of [null, null]) {
    t.equal((await ring.submit(ops.writev(fd, parts(content, 1500), position))).result, content.length)
  }
  t.ok(readFileSync(path).equals(Buffer.concat([content, content])), 'at the position of the file, once after the other')
  closeSync(fd)
})

ringTest('empty buffers beyond the first thousand are no piece', async t => {
  const path = join(t.testdir(), 'file')
  const fd = openSync(path, 'w')
  const content = patterned(1024)
  const empty = content.subarray(0, 0)
  const vector = [...Array.from(content, (_, i) => content.subarray(i, i + 1)), empty]
  t.equal((await ring.submit(ops.writev(fd, vector, 0))).result, 1024)
  t.ok(readFileSync(path).equals(content))
  t.equal((await ring.submit(ops.writev(fd, Array(1500).fill(empty), 0))).result, 0)
  closeSync(fd)
})

ringTest('each piece is linked to the one before it, and what was asked of the whole is where it belongs', async t => {
  const fd = openSync(join(t.testdir(), 'file'), 'w')
  const operation = ops.writev(fd, parts(patterned(10_000), 1500)).drain().async().hardlink() as LongOperation
  t.same(operation.unfold().map(({ flags }) => flags), [
    IOSQE_IO_DRAIN | IOSQE_ASYNC | IOSQE_IO_LINK, IOSQE_ASYNC | IOSQE_IO_LINK, IOSQE_ASYNC | IOSQE_IO_HARDLINK
  ])
  closeSync(fd)
})

ringTest('the callback of a long operation is called once', async t => {
  const fd = openSync(join(t.testdir(), 'file'), 'w')
  const ends: unknown[][] = []
  const operation = ops.writev(fd, parts(patterned(50_000), 2000))
  await new Promise<void>(resolve => {
    ring.submit(operation, (...end) => {
      ends.push(end)
      resolve()
    })
    t.same(ends, [], 'not by its submission')
    t.throws(() => ring.submit(operation, () => {}), { code: 'ERR_INVALID_STATE' }, 'it is submitted once')
  })
  await turns(3)
  t.same(ends.map(([error, result]) => [error, result]), [[null, 50_000]])
  closeSync(fd)
})

ringTest('a long operation that fails says so as a short one, and what is linked behind it is cancelled', async t => {
  const full = openSync('/dev/full', 'w')
  const vector = parts(patterned(10_000), 1500)
  await t.rejects(ring.submit(ops.writev(full, vector)), { code: 'ENOSPC', syscall: 'write' })
  const results = await ring.batch([ops.writev(full, vector).link(), ops.nop(), ops.nop()])
  t.same(results.map(({ result }) => result), [-28, ECANCELED, 0])
  closeSync(full)
})

ringTest('a chain that is longer than the ring is refused', async t => {
  await withRing(t, { entries: 2, cqEntries: 4 }, async ring => {
    const fd = openSync(join(t.testdir(), 'file'), 'w')
    const vector = parts(patterned(10_000), 1500)
    await t.rejects(ring.submit(ops.writev(fd, vector)), { code: 'ERR_OUT_OF_RANGE' })
    await t.rejects(ring.batch([ops.writev(fd, vector.slice(0, 2000)).link(), ops.nop()]), { code: 'ERR_OUT_OF_RANGE' })
    const { result } = await ring.submit(ops.writev(fd, vector.slice(0, 2000)))
    t.equal(result, Buffer.concat(vector.slice(0, 2000)).length)
    closeSync(fd)
  })
}, notUring)

/**
 * Asks until it has ended. Between its pieces a long operation may be on its way from one of the kernel's queues to another, and
 * is not found there (ENOENT); and a worker that is at it (EALREADY) may go on to wait for room.
 */
async function cancel(operation: Operation, ended: Promise<unknown>): Promise<void> {
  let over = false
  void ended.then(() => { over = true })
  while (!over) {
    await ring.submit(ops.cancel(operation)).catch(error => {
      if (error.code !== 'ENOENT' && error.code !== 'EALREADY') throw error
    })
  }
}

ringTest('a long write into a full pipe is cancelled where it is, and tells how far it came', async t => {
  const content = patterned(2 * 65_536) // two pieces, of which one fills a pipe
  const vector = Array.from({ length: 2048 }, (_, i) => content.subarray(i * 64, i * 64 + 64))
  const ends = { signal: 65_536, cancel: 65_536, wait: content.length }
  for (const [how, length] of Object.entries(ends)) {
    const fd = openSync(makeFifo(join(t.testdir(), how)), 'r+')
    const controller = new AbortController()
    const operation = ops.writev(fd, vector)
    const write = ring.submit(operation, how === 'signal' ? { signal: controller.signal } : undefined).then(
      ({ result }) => result, ({ code, bytesWritten }) => code === 'ABORT_ERR' && bytesWritten)
    await until(() => ring.stats().inFlight === 1)
    if (how === 'signal') controller.abort()
    if (how === 'cancel') await cancel(operation, write)
    const back = Buffer.alloc(length)
    for (let read = 0; read < length;) read += (await ring.submit(ops.read(fd, back.subarray(read)))).result
    t.equal(await write, length, how)
    t.ok(back.equals(content.subarray(0, length)))
    closeSync(fd)
  }
}, notUring)

ringTest('memory that is longer than one operation carries is read, alone and in a chain', async t => {
  const fd = openSync(join(t.testdir(), 'sparse'), 'w+')
  ftruncateSync(fd, length + 1000)
  markFile(fd)
  const memory = largeMemory()
  t.equal((await ring.submit(ops.read(fd, memory))).result, length)
  t.ok(isMarked(memory))
  t.equal((await ring.submit(ops.read(fd, memory))).result, 1000, 'the file stands where the read ended')
  const [short, cancelled] = await ring.batch([ops.read(fd, memory, 5000).link(), ops.nop()])
  t.same([short.result, cancelled.result], [length - 4000, ECANCELED])
  closeSync(fd)
}, tooSmall)

ringTest('memory that is longer than one operation carries is written', async t => {
  const fd = openSync('/dev/null', 'w') // test/files/large.test.ts looks at what arrives
  const { submitted } = ring.stats()
  t.equal((await ring.submit(ops.write(fd, largeMemory(), 0))).result, length)
  t.equal(ring.stats().submitted, submitted + 2)
  closeSync(fd)
}, tooSmall)
