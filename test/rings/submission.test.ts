// When operations reach the kernel: at the end of a turn together, but at once where it has less to do than is staged.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Ring } from '../../lib/index.js'
import { copyFile, ops } from '../../lib/index.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { turns } from '../helpers/stream-events.js'

const nops = (ring: Ring, count: number) => Promise.all(Array.from({ length: count }, () => ring.submit(ops.nop())))

ringTest('behind operations that are answered at once the next ones are submitted at the end of the turn', async t => {
  await withRing(t, {}, async ring => {
    await nops(ring, 1)
    const { submitted } = ring.stats()
    const ended = nops(ring, 100)
    t.equal(ring.stats().submitted, submitted, 'not yet')
    await ended
    t.equal(ring.stats().submitted, submitted + 100)
  })
}, notUring)

ringTest('behind one that takes its time as many as are in flight, and four at least, are submitted at once', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  await withRing(t, {}, async ring => {
    const waiting = Array.from({ length: 6 }, () => Buffer.alloc(1))
    const submitted = (): number => ring.stats().submitted
    const reads = waiting.slice(0, 1).map(buffer => ring.submit(ops.read(fifo, buffer)))
    t.equal(submitted(), 0)
    await turns(1)
    t.equal(submitted(), 1)
    for (const buffer of waiting.slice(1, 4)) reads.push(ring.submit(ops.read(fifo, buffer)))
    t.equal(submitted(), 1, 'three are too few')
    reads.push(ring.submit(ops.read(fifo, waiting[4])))
    t.equal(submitted(), 5, 'the fourth goes, and takes them along')
    const ended = nops(ring, 4)
    t.equal(submitted(), 5, 'five are in flight, and four staged')
    reads.push(ring.submit(ops.read(fifo, waiting[5])))
    t.equal(submitted(), 10)
    await ended
    writeSync(fifo, 'abcdef')
    t.same((await Promise.all(reads)).map(({ result }) => result), [1, 1, 1, 1, 1, 1])
    t.same(waiting.map(String).sort(), [...'abcdef'])
  })
  closeSync(fifo)
}, notUring)

ringTest('a large one is submitted at once behind one that takes its time', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  await withRing(t, {}, async ring => {
    const buffers = [1, (64 << 10) - 1, 64 << 10].map(length => Buffer.alloc(length))
    const abort = new AbortController()
    const read = (buffer: Buffer) => ring.submit(ops.read(fifo, buffer), abort)
    const first = read(buffers[0])
    await turns(1)
    const small = read(buffers[1])
    t.equal(ring.stats().submitted, 1)
    const large = read(buffers[2])
    t.equal(ring.stats().submitted, 3)
    abort.abort()
    for (const each of [first, small, large]) await t.rejects(each, { name: 'AbortError' })
  })
  closeSync(fifo)
}, notUring)

// Several in one submission would keep the event loop for as long as their bytes take.
ringTest('the pieces of a copy are submitted one by one', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 6 << 20)
  await withRing(t, {}, async ring => {
    const { enters } = ring.stats()
    const target = `${source.path}-copy`
    const { operations } = await copyFile(source.path, target, { ring, reflink: 'never', chunkSize: 64 << 10 })
    t.ok(operations >= 2 * 96)
    t.ok(ring.stats().enters - enters >= 96, `${ring.stats().enters - enters} enters for ${operations} operations`)
    t.ok(readFileSync(target).equals(source.content))
  })
}, notUring)
