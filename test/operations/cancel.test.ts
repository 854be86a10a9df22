import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { BufferPool, createUringReadableStream, open, ops, Ring } from '../../lib/index.js'
import { readFifo } from '../helpers/fifo.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { turns, until } from '../helpers/stream-events.js'

const ring = Ring.shared()

function openFifo(t: Test, flags: string | number = 'r+'): number {
  return openSync(makeFifo(join(t.testdir(), 'fifo')), flags)
}

function isAbort(cause: unknown): { name: string, code: string, cause: unknown } {
  return { name: 'AbortError', code: 'ABORT_ERR', cause }
}

ringTest('with an aborted signal nothing is submitted', async t => {
  const { submitted } = ring.stats()
  await t.rejects(ring.submit(ops.nop(), { signal: AbortSignal.abort('why') }), isAbort('why'))
  t.equal(ring.stats().submitted, submitted)
  const path = join(t.testdir(), 'never')
  await t.rejects(open(path, 'w', { signal: AbortSignal.abort() }), { code: 'ABORT_ERR' })
  t.throws(() => readFileSync(path), { code: 'ENOENT' })
})

ringTest('an operation that is aborted while it waits for admission never begins', async t => {
  const fifo = openFifo(t)
  await withRing(t, { entries: 2, cqEntries: 4 }, async ring => {
    const { capacity } = ring.stats()
    const blockers = Array.from({ length: capacity }, () => ring.submit(ops.read(fifo, Buffer.alloc(1))))
    const path = join(t.testdir(), 'file')
    const fd = openSync(path, 'w')
    const controller = new AbortController()
    const write = ring.submit(ops.write(fd, Buffer.from('NEVER'), 0), { signal: controller.signal })
    t.equal(ring.stats().queued, 1)
    const behind = ring.submit(ops.nop())
    controller.abort('queued')
    t.equal(ring.stats().queued, 1, 'the one behind it')
    await t.rejects(write, isAbort('queued'))
    writeSync(fifo, Buffer.alloc(capacity))
    await Promise.all(blockers)
    t.equal((await behind).result, 0)
    t.equal(readFileSync(path).length, 0)
    closeSync(fd)
  })
  closeSync(fifo)
})

ringTest('an operation in flight is aborted, and takes nothing', async t => {
  const fifo = openFifo(t)
  const controller = new AbortController()
  const buffer = Buffer.alloc(4, '-')
  const read = ring.submit(ops.read(fifo, buffer), { signal: controller.signal })
  const vector = ring.submit(ops.readv(fifo, [buffer, buffer]), { signal: controller.signal })
  await turns(2)
  t.equal(ring.stats().inFlight, 2)
  controller.abort('in flight')
  await t.rejects(read, isAbort('in flight'))
  await t.rejects(vector, isAbort('in flight'))
  writeSync(fifo, 'word')
  t.equal(buffer.toString(), '----')
  t.equal((await ring.submit(ops.read(fifo, buffer))).result, 4)
  t.equal(buffer.toString(), 'word', 'the bytes are for the next one')
  closeSync(fifo)
}, notUring)

ringTest('an operation that is aborted in the turn of its submission ends', async t => {
  const fifo = openFifo(t)
  for (let round = 0; round < 50; round++) {
    const controller = new AbortController()
    const reads = Array.from({ length: 10 }, () => ring.submit(ops.read(fifo, Buffer.alloc(1)), { signal: controller.signal }))
    controller.abort()
    const ended = await Promise.allSettled(reads)
    if (!ended.every(each => each.status === 'rejected' && each.reason.code === 'ABORT_ERR')) t.same(ended, [])
  }
  t.equal(ring.stats().inFlight, 0)
  closeSync(fifo)
}, notUring)

/** A signal of somebody else's: no AbortSignal, but what Node's own functions take for one. */
class OtherSignal extends EventTarget {
  aborted = false
  readonly reason = new Error('theirs')

  abort(): void {
    this.aborted = true
    this.dispatchEvent(new Event('abort'))
  }
}

ringTest('a signal may be of another implementation', async t => {
  const other = new OtherSignal()
  const signal = other as unknown as AbortSignal
  const ring = Ring.shared()
  const timeout = ring.submit(ops.timeout(600_000), { signal })
  const stream = createUringReadableStream('/dev/zero', { signal }).getReader()
  other.abort()
  await t.rejects(timeout, isAbort(other.reason))
  await t.rejects(stream.read(), other.reason)
})

ringTest('a signal that is aborted after the completion changes nothing', async t => {
  const controller = new AbortController()
  const fd = openSync('/dev/zero', 'r')
  const buffer = Buffer.alloc(16, 'x')
  t.equal((await ring.submit(ops.read(fd, buffer), { signal: controller.signal })).result, 16)
  const { submitted } = ring.stats()
  controller.abort()
  t.equal((await ring.submit(ops.nop())).result, 0)
  t.equal(ring.stats().submitted, submitted + 1, 'the nop alone')
  closeSync(fd)
})

ringTest('a signal ends everything that was given it, without warnings of a leak', async t => {
  const fifo = openFifo(t)
  const warnings: string[] = []
  const warned = (warning: Error): void => { warnings.push(warning.name) }
  process.on('warning', warned)
  const controller = new AbortController()
  const reads = Array.from({ length: 100 }, () => ring.submit(ops.read(fifo, Buffer.alloc(1)), { signal: controller.signal }))
  const other = ring.submit(ops.read(fifo, Buffer.alloc(1)))
  await turns(2)
  controller.abort()
  t.equal((await Promise.allSettled(reads)).filter(({ status }) => status === 'rejected').length, 100)
  t.equal(ring.stats().inFlight, 1, 'the one without')
  writeSync(fifo, 'x')
  t.equal((await other).result, 1)
  t.same(warnings, [])
  process.off('warning', warned)
  closeSync(fifo)
}, notUring)

ringTest('a write that was aborted too late tells how much it wrote', async t => {
  const fifo = openFifo(t) // one that has room takes a write while it is submitted (Linux 6.5); else a worker may be stopped before
  const controller = new AbortController()
  const { signal } = controller
  const write = ring.submit(ops.write(fifo, Buffer.from('written ')), { signal })
  const vector = ring.submit(ops.writev(fifo, [Buffer.from('and '), Buffer.from('more')]), { signal })
  controller.abort('late')
  const [first, second] = await Promise.all([write, vector].map(each => each.catch(error => error)))
  t.match([first, second], [isAbort('late'), isAbort('late')])
  const told = [first, second].map(({ bytesWritten }) => bytesWritten !== undefined)
  const words = [told[0] ? 'written ' : '', told[1] ? 'and more' : '']
  writeSync(fifo, '.') // so that there is something to read
  const buffer = Buffer.alloc(32)
  const { result } = await ring.submit(ops.read(fifo, buffer))
  const orders = [`${words.join('')}.`, `${words.reverse().join('')}.`] // two workers may write them the other way round
  t.ok(orders.includes(buffer.toString('utf8', 0, result)), buffer.toString('utf8', 0, result))
  t.match([first, second], told.map(late => late ? { bytesWritten: 8 } : {}))
  t.same(told, [true, true], { skip: !told.every(Boolean) && 'this kernel has a worker write to pipes, which was stopped in time' })
  closeSync(fifo)
})

ringTest('an aborted write to a file tells what of it is in the file', async t => {
  const path = join(t.testdir(), 'file')
  const words = patterned(100_000)
  for (let round = 0; round < 30; round++) {
    const fd = openSync(path, 'w')
    const controller = new AbortController()
    const write = ring.submit(ops.write(fd, words, 0), { signal: controller.signal })
    controller.abort()
    const { code, bytesWritten = 0 } = await write.catch(error => error)
    t.equal(code, 'ABORT_ERR')
    t.ok(readFileSync(path).equals(words.subarray(0, bytesWritten)), `${bytesWritten} bytes`)
    closeSync(fd)
  }
})

ringTest('a write to a full pipe that is aborted has written nothing, and says nothing of bytes', async t => {
  const fd = openFifo(t, constants.O_RDWR)
  const page = Buffer.alloc(65_536, 'f')
  t.equal((await ring.submit(ops.write(fd, page))).result, page.length, 'it is full')
  const controller = new AbortController()
  const write = ring.submit(ops.write(fd, Buffer.alloc(4096, 'x')), { signal: controller.signal })
  await turns(2)
  controller.abort()
  const error = await write.catch(error => error)
  t.equal(error.code, 'ABORT_ERR')
  t.notOk('bytesWritten' in error)
  const held = await readFifo(fd, page.length)
  t.ok(held.equals(page))
  closeSync(fd)
}, notUring)

ringTest('a file that is opened in spite of the signal is closed', async t => {
  const path = join(t.testdir(), 'file')
  writeFileSync(path, 'x')
  for (let round = 0; round < 20; round++) {
    const controller = new AbortController()
    const opened = round % 2 === 0
      ? ring.submit(ops.openat(path), { signal: controller.signal }).then(({ result }) => closeSync(result))
      : open(path, 'r', { signal: controller.signal }).then(file => file.close())
    controller.abort()
    await opened.catch(error => t.equal(error.code, 'ABORT_ERR'))
  }
})

ringTest('a batch ends with its signal, and its error has the completions', async t => {
  const fifo = openFifo(t)
  await t.rejects(ring.batch([ops.nop()], { signal: AbortSignal.abort('before') }), isAbort('before'))
  const controller = new AbortController()
  const batch = ring.batch(
    [ops.nop(), ops.read(fifo, Buffer.alloc(1)).link(), ops.nop(), ops.timeout(600_000)], { signal: controller.signal }
  )
  await until(() => ring.stats().inFlight === 3)
  controller.abort('in flight')
  const error = await batch.then(() => t.fail('it was aborted'), error => error)
  t.match(error, isAbort('in flight'))
  t.same(error.completions.map(({ result }: { result: number }) => result), [0, -125, -125, -125])
  const late = new AbortController()
  t.same(await ring.batch([ops.nop()], { signal: late.signal }), [{ result: 0, flags: 0 }])
  late.abort()
  closeSync(fifo)
}, notUring)

ringTest('a batch that waits for admission is aborted as a whole, its chains included', async t => {
  const fifo = openFifo(t)
  await withRing(t, { entries: 4, cqEntries: 4 }, async ring => {
    const { capacity } = ring.stats()
    const blockers = Array.from({ length: capacity }, () => ring.submit(ops.read(fifo, Buffer.alloc(1))))
    const controller = new AbortController()
    const batch = ring.batch([ops.nop().link(), ops.nop(), ops.nop()], { signal: controller.signal })
    t.equal(ring.stats().queued, 2)
    controller.abort('queued')
    t.equal(ring.stats().queued, 0)
    const error = await batch.then(() => t.fail('it was aborted'), error => error)
    t.match(error, isAbort('queued'))
    t.same(error.completions.map(({ result }: { result: number }) => result), [-125, -125, -125])
    writeSync(fifo, Buffer.alloc(capacity))
    await Promise.all(blockers)
    t.equal(ring.stats().submitted, capacity, 'nothing of it reached the kernel')
  })
  closeSync(fifo)
})

ringTest('files that an aborted batch has opened are closed', async t => {
  const fifo = openFifo(t)
  const controller = new AbortController()
  const path = join(t.testdirName, 'fifo')
  const opening = Array.from({ length: 3 }, () => ops.openat(path, 'r+'))
  const batch = ring.batch([...opening, ops.read(fifo, Buffer.alloc(1))], { signal: controller.signal })
  await until(() => ring.stats().inFlight === 1)
  controller.abort()
  const { completions } = await batch.then(() => t.fail('it was aborted'), error => error)
  for (const { result } of completions.slice(0, 3)) {
    t.ok(result > 0, 'it was opened')
    t.throws(() => fstatSync(result), { code: 'EBADF' })
  }
  closeSync(fifo)
}, notUring)

ringTest('timeouts can be aborted', async t => {
  const controller = new AbortController()
  const timeout = ring.submit(ops.timeout(600_000), { signal: controller.signal })
  await turns(2)
  controller.abort()
  await t.rejects(timeout, { code: 'ABORT_ERR' })
})

ringTest('file.read ends with its signal and the file is usable', async t => {
  const path = makeFifo(join(t.testdir(), 'fifo'))
  const file = await open(path, 'r+')
  const controller = new AbortController()
  const forms = [
    file.read({ buffer: Buffer.alloc(4), signal: controller.signal }),
    file.read(Buffer.alloc(4), { signal: controller.signal })
  ]
  await until(() => ring.stats().inFlight === 2)
  controller.abort('enough')
  for (const read of forms) await t.rejects(read, isAbort('enough'))
  await file.write('abc')
  const { bytesRead, buffer } = await file.read(Buffer.alloc(4))
  t.equal(buffer.toString('utf8', 0, bytesRead), 'abc')
  const { fd } = file
  await file.close()
  t.throws(() => fstatSync(fd), { code: 'EBADF' })
}, notUring)

ringTest('whatever a file does on the ring takes a signal', async t => {
  const file = await open(join(t.testdir(), 'file'), 'w+')
  const pool = new BufferPool(ring, { bufferSize: 16, count: 1 })
  const fixed = await pool.acquire()
  const signal = AbortSignal.abort('before')
  const buffer = Buffer.alloc(4)
  const { submitted } = ring.stats()
  const calls: Record<string, () => Promise<unknown>> = {
    read: () => file.read({ buffer, signal }), write: () => file.write(buffer, { signal }),
    readv: () => file.readv([buffer], 0, { signal }), writev: () => file.writev([buffer], null, { signal }),
    readFixed: () => file.readFixed(fixed, 0, { signal }), writeFixed: () => file.writeFixed(fixed, 0, { signal }),
    sync: () => file.sync({ signal }), datasync: () => file.datasync({ signal }), allocate: () => file.allocate(0, 10, 0, { signal })
  }
  for (const [name, call] of Object.entries(calls)) await t.rejects(call(), isAbort('before'), name)
  t.equal(ring.stats().submitted, submitted)
  t.equal((await file.stat()).size, 0)
  fixed.release()
  pool.close()
  await file.close()
})

ringTest('what waits behind a chain that is aborted has its turn', async t => {
  await withRing(t, { entries: 4, cqEntries: 4 }, async ring => {
    const [first, second, third] = Array.from({ length: 3 }, () => new AbortController())
    const blocker = ring.submit(ops.timeout(600_000), { signal: first.signal })
    const chain = ring.batch([ops.nop().link(), ops.nop().link(), ops.nop()], { signal: second.signal })
    const together = ring.submit(ops.nop(), { signal: second.signal })
    const behind = ring.submit(ops.timeout(600_000), { signal: third.signal })
    t.equal(ring.stats().queued, 3)
    second.abort()
    const ended: Promise<unknown>[] = [chain, together]
    await Promise.all(ended.map(each => t.rejects(each, { code: 'ABORT_ERR' })))
    await until(() => ring.stats().queued === 0)
    t.equal(ring.stats().submitted, 2, 'what the same signal ended never began')
    first.abort()
    third.abort()
    for (const each of [blocker, behind]) await t.rejects(each, { code: 'ABORT_ERR' })
  })
})

ringTest('what aborted operations have opened is closed before their ring is', async t => {
  const path = join(t.testdir({ file: 'x' }), 'file')
  for (let round = 0; round < 10; round++) {
    const ring = new Ring({ entries: 4 })
    const controller = new AbortController()
    const { signal } = controller
    const opening: Promise<unknown>[] = [
      ring.submit(ops.openat(path), { signal }), ring.batch([ops.openat(path), ops.openat(path).async()], { signal })
    ]
    const before = readdirSync('/proc/self/fd').length
    const closed = round % 2 === 0 ? null : ring.close()
    controller.abort()
    const rejected = opening.map(each => t.rejects(each, { code: 'ABORT_ERR' }))
    await (closed ?? ring.close())
    t.ok(readdirSync('/proc/self/fd').length <= before, 'no file stays open')
    await Promise.all(rejected)
  }
})

ringTest('the signal of a submission that was refused does not end what was submitted before', async t => {
  const operations = [ops.timeout(20), ops.nop()]
  const all = ring.batch(operations)
  const controller = new AbortController()
  const { signal } = controller
  const refused: Promise<unknown>[] = [ring.submit(operations[0], { signal }), ring.batch(operations, { signal })]
  const rejected = refused.map(each => t.rejects(each, { code: 'ERR_INVALID_STATE' }))
  controller.abort()
  await Promise.all(rejected)
  t.same((await all).map(({ result }) => result), [-62, 0])
})
