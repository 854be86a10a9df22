import { closeSync, openSync, readdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { createUringReadStream, createUringWriteStream, open, ops, Ring } from '../../lib/index.js'
import { digestOf, makeFifo, makeFile } from '../helpers/files.js'
import { notUring, ringTest } from '../helpers/ring-state.js'
import { next, turns } from '../helpers/stream-events.js'

const invalidState = { code: 'ERR_INVALID_STATE' }

/** A FIFO that is open at both ends, so that a read of it waits until something is written. */
function openFifo(t: Test): number {
  return openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
}

ringTest('a ring that was never used closes', async t => {
  const ring = new Ring({ entries: 4 })
  await ring.close()
  await t.rejects(ring.submit(ops.nop()), invalidState)
})

ringTest('the descriptor of a ring is closed when close is done', async t => {
  const before = readdirSync('/proc/self/fd').length
  const ring = new Ring({ entries: 4 })
  t.equal(readdirSync('/proc/self/fd').length, before + 1)
  await ring.submit(ops.nop())
  await ring.close()
  t.equal(readdirSync('/proc/self/fd').length, before)
}, notUring)

t.test('an engine has one shared ring, however it is asked for, and another when that is closed', async t => {
  for (const engine of notUring ? ['threads'] as const : ['threads', 'uring', 'threads'] as const) {
    await Ring.shared().close()
    const ring = Ring.shared(engine)
    t.equal(Ring.shared(engine), ring)
    if (engine === 'uring' || notUring) t.equal(Ring.shared(), ring, 'what is made by name first')
    else t.not(Ring.shared(), ring)
    const usual = Ring.shared()
    t.equal(Ring.shared(usual.stats().engine), usual, 'what is made without a name')
    await ring.close()
    t.not(Ring.shared(engine), ring)
  }
})

ringTest('close waits for what is in flight', async t => {
  const fifo = openFifo(t)
  const ring = new Ring({ entries: 4 })
  const order: string[] = []
  const buffer = Buffer.alloc(16)
  const read = ring.submit(ops.read(fifo, buffer)).then(({ result }) => order.push(`read ${result}`))
  const closed = ring.close().then(() => order.push('closed'))
  await turns(20)
  t.same(order, [], 'neither has ended while nothing was written')
  writeSync(fifo, 'four')
  await Promise.all([read, closed])
  t.same(order, ['read 4', 'closed'])
  t.equal(buffer.toString('latin1', 0, 4), 'four')
  closeSync(fifo)
})

ringTest('close waits for what is queued behind a full ring', async t => {
  const ring = new Ring({ entries: 2, cqEntries: 2 })
  let ended = 0
  const nops = Array.from({ length: 100 }, () => ring.submit(ops.nop()).then(() => ended++))
  t.ok(ring.stats().queued > 0, 'some are queued')
  await ring.close()
  t.equal(ended, 100)
  await Promise.all(nops)
})

ringTest('a second close does nothing, also while the first one waits', async t => {
  const fifo = openFifo(t)
  const ring = new Ring({ entries: 4 })
  const read = ring.submit(ops.read(fifo, Buffer.alloc(1)))
  const order: string[] = []
  const closes = [1, 2].map(which => ring.close().then(() => order.push(`close ${which}`)))
  await turns(20)
  t.same(order, [], 'neither is done while a read is in flight')
  writeSync(fifo, 'x')
  await Promise.all([read, ...closes])
  await ring.close()
  closeSync(fifo)
})

ringTest('close is refused while streams use the ring, and it goes on to serve them', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 300_000)
  const ring = new Ring({ entries: 4 })
  const stream = createUringReadStream(source.path, { ring, chunkSize: 4096 })
  await next(stream, 'ready')
  await t.rejects(ring.close(), invalidState)
  t.equal(await digestOf(stream), source.sha256)
  await ring.close()
})

ringTest('close is refused while a stream is opening', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 1000)
  const ring = new Ring({ entries: 4 })
  const stream = createUringReadStream(source.path, { ring })
  await t.rejects(ring.close(), invalidState)
  t.equal(await digestOf(stream), source.sha256)
  await ring.close()
})

ringTest('close is refused while a file is opening, and when it is open', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 1000)
  const ring = new Ring({ entries: 4 })
  for (const direct of [false, 'prefer'] as const) {
    const opening = open(path, 'r', { ring, direct })
    await t.rejects(ring.close(), invalidState)
    const file = await opening
    await t.rejects(ring.close(), invalidState)
    t.equal((await file.read(Buffer.alloc(10), 0, 10, 0)).bytesRead, 10)
    await file.close()
  }
  await t.rejects(open(join(path, 'none'), 'r', { ring }), { code: 'ENOTDIR' })
  await ring.close()
})

ringTest('close waits for streams that were destroyed while they were opening', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 1000)
  const ring = new Ring({ entries: 4 })
  const reader = createUringReadStream(source.path, { ring })
  const writers = [true, false].map(atomic => createUringWriteStream(join(directory, `target-${atomic}`), { ring, atomic, preallocate: 4096 }))
  const order: string[] = []
  for (const stream of [reader, ...writers]) {
    stream.destroy()
    stream.on('close', () => order.push('closed'))
  }
  await ring.close()
  order.push('ring')
  t.same(order, ['closed', 'closed', 'closed', 'ring'])
  t.same(readdirSync(directory).sort(), ['source', 'target-false'], 'no temporary file is left')
})

ringTest('after the shared ring was closed there is a new one', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 100_000)
  const first = Ring.shared()
  await first.close()
  t.not(Ring.shared(), first)
  t.equal(await digestOf(createUringReadStream(source.path)), source.sha256)
})

ringTest('descriptors of a hundred rings, each used, are all given back', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 20_000)
  for (let i = 0; i < 100; i++) {
    const ring = new Ring({ entries: 2 })
    const digest = await digestOf(createUringReadStream(source.path, { ring, buffers: i % 2 === 0 ? 'owned' : 'leased' }))
    if (digest !== source.sha256) t.fail(`ring ${i} read something else`)
    await ring.close()
  }
})
