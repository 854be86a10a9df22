// ops.cancel: an operation that ends another one.
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ops, Ring } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { turns } from '../helpers/stream-events.js'

const ring = Ring.shared()
const cancelled = { code: 'ECANCELED' }
const nothingFound = { code: 'ENOENT', syscall: 'cancel' }

function openFifo(t: Test): number {
  return openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
}

ringTest('the operation that is meant is cancelled, and no other', async t => {
  const fifo = openFifo(t)
  const reads = Array.from({ length: 5 }, () => ops.read(fifo, Buffer.alloc(1)))
  const ended = reads.map(read => ring.submit(read))
  for (const i of [3, 1]) {
    const rejected = t.rejects(ended[i], { ...cancelled, syscall: 'read' })
    t.same(await ring.submit(ops.cancel(reads[i])), { result: 0, flags: 0 })
    await rejected
  }
  t.equal(ring.stats().inFlight, 3)
  writeSync(fifo, 'abc')
  for (const i of [0, 2, 4]) t.equal((await ended[i]).result, 1)
  closeSync(fifo)
}, notUring)

ringTest('nothing is found before submission, after the end, or on another ring', async t => {
  const fifo = openFifo(t)
  await withRing(t, {}, async ring => {
    const [never, done] = [ops.nop(), ops.nop()]
    await t.rejects(ring.submit(ops.cancel(never)), nothingFound)
    await ring.submit(done)
    const here = Array.from({ length: 3 }, () => ring.submit(ops.read(fifo, Buffer.alloc(1)))) // one has the place of `done`
    await t.rejects(ring.submit(ops.cancel(done)), nothingFound)
    await withRing(t, {}, async other => {
      const read = ops.read(fifo, Buffer.alloc(1))
      const there = other.submit(read)
      await t.rejects(ring.submit(ops.cancel(read)), nothingFound)
      t.equal(ring.stats().inFlight, 3, 'what has the same place here goes on')
      writeSync(fifo, 'abcd')
      t.equal((await there).result, 1)
    })
    await Promise.all(here)
  })
  closeSync(fifo)
})

ringTest('a cancel that is staged meets its target even if the slot is given away in the same batch', async t => {
  await withRing(t, { entries: 2, cqEntries: 4 }, async ring => {
    for (let round = 0; round < 100; round++) {
      const nops = Array.from({ length: 3 }, () => ops.nop())
      const results: (string | number)[] = []
      await new Promise<void>(resolve => {
        // The first to complete asks for the last, whose completion is there already; the last starts another in its place.
        const ends = [
          () => ring.submit(ops.cancel(nops[2]), error => results.push((error as NodeJS.ErrnoException)?.code ?? 'found')),
          () => {},
          () => ring.submit(ops.nop(), (_error, result) => { results.push(result); resolve() })
        ]
        nops.forEach((nop, i) => ring.submit(nop, ends[i]))
      })
      if (results.join() !== 'ENOENT,0') t.same(results, ['ENOENT', 0])
    }
    t.equal(ring.stats().inFlight, 0)
  })
}, notUring)

ringTest('a cancel in a chain waits for what is before it', async t => {
  const directory = t.testdir()
  const [before, meant] = ['before', 'meant'].map(name => openSync(makeFifo(join(directory, name)), 'r+'))
  const target = ops.read(meant, Buffer.alloc(1))
  const ended = ring.submit(target)
  const batch = ring.batch([ops.read(before, Buffer.alloc(1)).link(), ops.cancel(target)])
  await ring.submit(ops.nop())
  t.equal(ring.stats().inFlight, 3, 'it has not begun')
  const rejected = t.rejects(ended, cancelled)
  writeSync(before, 'x')
  t.same((await batch).map(({ result }) => result), [1, 0])
  await rejected
  for (const fd of [before, meant]) closeSync(fd)
}, notUring)

ringTest('in a full ring what is in flight, and what waits, can be cancelled', async t => {
  const fifo = openFifo(t)
  await withRing(t, { entries: 4, cqEntries: 4 }, async ring => {
    const reads = Array.from({ length: ring.stats().capacity }, () => ops.read(fifo, Buffer.alloc(1)))
    const ended = reads.map(read => ring.submit(read))
    const waiting = ops.nop()
    const chain = [ops.nop().link(), ops.nop()]
    const queued = [ring.submit(waiting), ring.batch(chain)] as const
    t.equal(ring.stats().queued, 2)
    const failures = [queued[0], ended[1]].map(each => t.rejects(each, cancelled))
    const cancels = [waiting, chain[1], reads[1]].map(each => ring.submit(ops.cancel(each)))
    await Promise.all(failures)
    t.same((await queued[1]).map(({ result }) => result), [-125, -125], 'a chain that waits ends as a whole')
    for (const cancel of cancels) t.same(await cancel, { result: 0, flags: 0 })
    await t.rejects(ring.submit(ops.cancel(ops.nop())), nothingFound)
    writeSync(fifo, 'xy')
    await Promise.all([ended[0], ended[2]])
  })
  closeSync(fifo)
}, notUring)

ringTest('what waits behind a hard link ends once it begins, if it was cancelled in a full ring', async t => {
  const [before, meant] = ['before', 'meant'].map(name => openSync(makeFifo(join(t.testdir(), name)), 'r+'))
  await withRing(t, { entries: 2, cqEntries: 4 }, async ring => {
    const chain = [ops.read(before, Buffer.alloc(1)).hardlink(), ops.read(meant, Buffer.alloc(1))]
    const batch = ring.batch(chain)
    const last = ring.submit(ops.read(meant, Buffer.alloc(1)))
    t.ok(ring.stats().inFlight === ring.stats().capacity, 'the ring is full')
    const cancel = ring.submit(ops.cancel(chain[1]))
    await turns(1)
    writeSync(before, 'x')
    t.same(await cancel, { result: 0, flags: 0 })
    const [first, second] = await batch
    t.equal(first.result, 1)
    t.ok([-125, -4].includes(second.result), `ECANCELED, or EINTR where a worker reads pipes (5.10, 6.1): ${second.result}`)
    writeSync(meant, 'y')
    t.equal((await last).result, 1)
  })
  for (const fd of [before, meant]) closeSync(fd)
}, notUring)

ringTest('only operations can be cancelled', async t => {
  for (const wrong of [undefined, null, {}, 5]) {
    t.throws(() => ops.cancel(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  await withRing(t, { engine: 'threads' }, async ring => {
    await t.rejects(ring.submit(ops.cancel(ops.nop())), { code: 'ENOENT' })
  })
})
