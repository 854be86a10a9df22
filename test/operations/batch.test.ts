import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Operation } from '../../lib/index.js'
import { ops, Ring } from '../../lib/index.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { seededFor } from '../helpers/seeded.js'
import { turns } from '../helpers/stream-events.js'

const ECANCELED = -125

function nops(count: number): Operation[] {
  return Array.from({ length: count }, () => ops.nop())
}

ringTest('the completions of a batch are in the order of its operations', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 100_000)
  const fd = openSync(path, 'r')
  const random = seededFor(t)
  const reads = Array.from({ length: 200 }, () => ({ buffer: Buffer.alloc(random.between(1, 3000)), position: random.between(0, 100_100) }))
  const completions = await Ring.shared().batch(reads.map(({ buffer, position }) => ops.read(fd, buffer, position)))
  for (const [i, { buffer, position }] of reads.entries()) {
    const wanted = content.subarray(position, position + buffer.length)
    if (completions[i].result !== wanted.length) t.equal(completions[i].result, wanted.length)
    if (!buffer.subarray(0, wanted.length).equals(wanted)) t.fail(`read ${i} of ${wanted.length} at ${position}`)
  }
  t.equal(completions.length, reads.length)
  closeSync(fd)
})

ringTest('an empty batch completes with nothing', async t => {
  const { submitted } = Ring.shared().stats()
  t.same(await Ring.shared().batch([]), [])
  t.equal(Ring.shared().stats().submitted, submitted)
})

ringTest('a batch that fits enters the kernel once, also with chains in it', async t => {
  await withRing(t, { entries: 256, cqEntries: 1024 }, async ring => {
    for (const build of [() => nops(1), () => nops(256), () => nops(200).map((nop, i) => i % 3 < 2 ? nop.link() : nop)]) {
      const { enters } = ring.stats()
      const batch = ring.batch(build())
      t.equal(ring.stats().enters, enters + 1)
      t.ok((await batch).every(({ result }) => result === 0))
      t.equal(ring.stats().enters, enters + 1, 'and no more than that')
    }
  })
}, notUring)

ringTest('a chain longer than the submission queue is refused before anything is submitted', async t => {
  await withRing(t, { entries: 8 }, async ring => {
    const chain = nops(9).map(nop => nop.link())
    await t.rejects(ring.batch([ops.nop(), ...chain]), { code: 'ERR_OUT_OF_RANGE' })
    t.equal(ring.stats().submitted, 0)
    t.same((await ring.batch(chain.slice(0, 8))).map(({ result }) => result), Array(8).fill(0), 'the longest there may be')
    t.same(await ring.submit(chain[8]), { result: 0, flags: 0 }, 'what was refused can be submitted still')
  })
})

ringTest('batches larger than the queues complete', async t => {
  for (const entries of [1, 4, 64]) {
    await withRing(t, { entries, cqEntries: entries * 2 }, async ring => {
      const completions = await ring.batch(nops(5000))
      t.equal(completions.filter(({ result }) => result === 0).length, 5000)
      t.equal(ring.stats().completed, 5000)
    })
  }
})

ringTest('chains behind a full ring stay whole', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const random = seededFor(t)
  await withRing(t, { entries: 8, cqEntries: 16 }, async ring => {
    const { capacity } = ring.stats()
    const blockers = Array.from({ length: capacity - 2 }, () => ring.submit(ops.read(fifo, Buffer.alloc(1))))
    // A chain whose failing first operation must cancel all the others, wherever it is cut off.
    const lengths = Array.from({ length: 50 }, () => random.between(2, 8))
    const chains = lengths.map(length => ring.batch([
      ops.write(999_999, Buffer.from('x')).link(), ...nops(length - 1).map((nop, i) => i < length - 2 ? nop.link() : nop)
    ]))
    t.ok(ring.stats().queued > 0, 'some wait')
    await turns(3)
    writeSync(fifo, Buffer.alloc(capacity))
    for (const [i, chain] of chains.entries()) {
      const results = (await chain).map(({ result }) => result)
      const wanted = [-9, ...Array(lengths[i] - 1).fill(ECANCELED)]
      if (results.join() !== wanted.join()) t.same(results, wanted)
    }
    t.equal((await Promise.all(blockers)).length, capacity - 2)
  })
  closeSync(fifo)
})

ringTest('a batch may be made in the callback of a completion', async t => {
  await withRing(t, { entries: 16, cqEntries: 64 }, async ring => {
    const batches: Promise<number[]>[] = []
    await new Promise<void>(resolve => {
      let left = 30
      for (let i = 0; i < 30; i++) {
        ring.submit(ops.nop(), () => {
          const chain = [ops.nop().link(), ops.openat('/dev/null/x').link(), ops.nop(), ops.nop()] // ENOTDIR when it runs
          batches.push(ring.batch(chain).then(completions => completions.map(({ result }) => result)))
          if (--left === 0) resolve()
        })
      }
    })
    const results = await Promise.all(batches)
    t.same(results, Array(30).fill([0, -20, ECANCELED, 0]))
  })
})

ringTest('an operation of a failing kind does not reject a batch', async t => {
  const [bad, good] = await Ring.shared().batch([ops.read(999_999, Buffer.alloc(1)), ops.nop()])
  t.equal(bad.result, -9)
  t.equal(good.result, 0)
})
