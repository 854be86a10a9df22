import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Operation } from '../../lib/index.js'
import { ops, Ring } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { turns, until } from '../helpers/stream-events.js'

const ring = Ring.shared()
const ECANCELED = -125
const EINTR = -4
const EALREADY = -114
const EINVAL = -22
const EBADF = -9
const ENOTDIR = -20
const ETIME = -62

async function resultsOf(operations: Parameters<Ring['batch']>[0]): Promise<number[]> {
  return (await ring.batch(operations)).map(({ result }) => result)
}

ringTest('linked operations run one after the other', async t => {
  const path = join(t.testdir(), 'file')
  const fd = openSync(path, 'w+')
  const words = patterned(50_000)
  const back = Buffer.alloc(words.length)
  for (let round = 0; round < 20; round++) {
    words[0] = round
    const results = await resultsOf([ops.write(fd, words, 0).async().link(), ops.fsync(fd).link(), ops.read(fd, back, 0)])
    t.same(results, [words.length, 0, words.length])
    t.ok(back.equals(words), 'the read sees what the write before it wrote')
  }
  closeSync(fd)
})

ringTest('a failing link cancels the rest of its chain, and no other', async t => {
  const path = join(t.testdir(), 'file')
  const fd = openSync(path, 'w+')
  const failing = ops.openat(join(path, 'no folder')) // fails when it runs: before Linux 5.18 a bad descriptor fails all of its chain
  const results = await resultsOf([
    ops.write(fd, Buffer.from('first'), 0).link(), failing.link(), ops.write(fd, Buffer.from('NEVER'), 0).link(), ops.nop(),
    ops.nop().link(), ops.write(fd, Buffer.from('other'), 5)
  ])
  t.same(results, [5, ENOTDIR, ECANCELED, ECANCELED, 0, 5])
  t.equal(readFileSync(path, 'utf8'), 'firstother')
  closeSync(fd)
})

ringTest('a hard link goes on after a failure', async t => {
  const path = join(t.testdir(), 'file')
  const fd = openSync(path, 'w+')
  const results = await resultsOf([
    ops.openat(join(path, 'no folder')).hardlink(), ops.write(fd, Buffer.from('written'), 0).hardlink(), ops.fsync(fd)
  ])
  t.same(results, [ENOTDIR, 7, 0])
  t.equal(readFileSync(path, 'utf8'), 'written')
  closeSync(fd)
})

ringTest('a short read breaks a soft link and not a hard one', async t => {
  const path = join(t.testdir(), 'file')
  writeFileSync(path, 'short')
  const fd = openSync(path, 'r')
  const buffer = Buffer.alloc(10)
  t.same(await resultsOf([ops.read(fd, buffer, 0).link(), ops.nop()]), [5, ECANCELED])
  t.same(await resultsOf([ops.read(fd, buffer, 0).hardlink(), ops.nop()]), [5, 0])
  t.same(await resultsOf([ops.read(fd, buffer.subarray(0, 5), 0).link(), ops.nop()]), [5, 0])
  closeSync(fd)
})

ringTest('a drain waits for everything submitted before', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const ended: string[] = []
  const buffer = Buffer.alloc(1)
  ring.submit(ops.read(fifo, buffer).async(), () => ended.push('read'))
  ring.submit(ops.nop(), () => ended.push('nop'))
  ring.submit(ops.nop().drain(), () => ended.push('drain'))
  await until(() => ended.length === 1)
  t.same(ended, ['nop'], 'the read waits for a byte, and the drain for the read')
  writeSync(fifo, 'x')
  await until(() => ended.length === 3)
  t.same(ended, ['nop', 'read', 'drain'])
  closeSync(fifo)
})

ringTest('what is submitted behind a drain begins when all of its chain has ended', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const ended: string[] = []
  const chain = ring.batch([ops.nop().hardlink(), ops.read(fifo, Buffer.alloc(1)).drain()]).then(() => ended.push('chain'))
  const behind = ring.submit(ops.nop()).then(() => ended.push('behind'))
  const second = ring.submit(ops.nop().drain()).then(() => ended.push('second drain'))
  await turns(5)
  t.same(ended, [], 'the chain waits for a byte, and all else for the chain')
  writeSync(fifo, 'x')
  await Promise.all([chain, behind, second])
  t.same(ended, ['chain', 'behind', 'second drain'])
  closeSync(fifo)
})

ringTest('a drain that waits, and what waits behind it, is ended by signals, and what it waits for by a cancel', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const read = ring.submit(ops.read(fifo, Buffer.alloc(1)))
  const [first, second] = [new AbortController(), new AbortController()]
  const drain = ring.submit(ops.nop().drain(), { signal: first.signal })
  const behind = ring.submit(ops.nop(), { signal: second.signal })
  second.abort()
  await t.rejects(behind, { name: 'AbortError' })
  first.abort()
  await t.rejects(drain, { name: 'AbortError' })
  t.same(await ring.submit(ops.nop()), { result: 0, flags: 0 }, 'nothing is held back any more')
  writeSync(fifo, 'x')
  t.equal((await read).result, 1)
  const endless = ops.timeout(600_000)
  const [ended, drained] = [ring.submit(endless), ring.submit(ops.nop().drain())]
  const cancel = ring.submit(ops.cancel(endless))
  await t.rejects(ended, { code: 'ECANCELED' })
  t.equal((await drained).result, 0)
  t.equal((await cancel).result, 0)
  closeSync(fifo)
})

ringTest('a drain in the midst of a chain holds nothing back that comes behind what comes behind the chain', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  t.same(await resultsOf([ops.nop().hardlink(), ops.nop().drain()]), [0, 0])
  const read = ring.submit(ops.read(fifo, Buffer.alloc(1)))
  await ring.submit(ops.nop())
  t.equal(ring.stats().inFlight, 1, 'the read still waits')
  writeSync(fifo, 'x')
  await read
  closeSync(fifo)
})

ringTest('the flag of a link reaches no operation of somebody else', async t => {
  const alone = ring.submit(ops.write(999_999, Buffer.from('x')).link())
  const stranger = ring.submit(ops.nop())
  const batch = ring.batch([ops.nop(), ops.write(999_999, Buffer.from('x')).link()])
  const next = ring.batch([ops.nop().hardlink(), ops.nop().link()])
  await t.rejects(alone, { code: 'EBADF' })
  t.equal((await stranger).result, 0)
  t.same((await batch).map(({ result }) => result), [0, EBADF])
  t.same((await next).map(({ result }) => result), [0, 0])
})

ringTest('many single operations with a link do not become a chain that is too long', async t => {
  const small = new Ring({ entries: 4 })
  const all = await Promise.all(Array.from({ length: 300 }, () => small.submit(ops.nop().link())))
  t.equal(all.filter(({ result }) => result === 0).length, 300)
  await small.close()
})

ringTest('operations done by a worker give the same', async t => {
  const path = join(t.testdir(), 'file')
  const fd = openSync(path, 'w+')
  const words = patterned(100_000)
  const back = Buffer.alloc(words.length)
  t.equal((await ring.submit(ops.write(fd, words, 0).async())).result, words.length)
  t.equal((await ring.submit(ops.read(fd, back, 0).async())).result, words.length)
  t.ok(back.equals(words))
  await t.rejects(ring.submit(ops.read(999_999, back).async()), { code: 'EBADF' })
  closeSync(fd)
})

ringTest('a linked timeout cancels what it is linked to, and not what ends in time', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const buffer = Buffer.alloc(8)
  const [read, timeout] = await resultsOf([ops.read(fifo, buffer).link(), ops.linkTimeout(10)])
  t.equal(read, ECANCELED)
  t.equal(timeout, ETIME)
  writeSync(fifo, 'in time')
  const [inTime, unused] = await resultsOf([ops.read(fifo, buffer.subarray(0, 7)).link(), ops.linkTimeout(600_000)])
  t.equal(inTime, 7)
  t.equal(unused, ECANCELED)
  t.equal(buffer.toString('utf8', 0, 7), 'in time')
  closeSync(fifo)
}, notUring)

ringTest('a linked timeout limits what is linked behind the work of one of the kernel\'s workers', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const file = openSync(join(t.testdir(), 'file'), 'w+')
  for (const before of [() => ops.nop().async(), () => ops.write(file, patterned(500), 0), () => ops.timeout(0)]) {
    const chain = [before().hardlink(), ops.linkTimeout(600_000).hardlink(), ops.read(fifo, Buffer.alloc(1)).link(), ops.linkTimeout(5).link(), ops.nop()]
    const [, , read, timeout, behind] = await resultsOf(chain)
    if (read === EINTR) t.same([timeout, behind], [EALREADY, ECANCELED], 'a worker of 5.10 was at it, and stopped')
    else t.same([read, timeout, behind], [ECANCELED, ETIME, ECANCELED])
  }
  for (const fd of [fifo, file]) closeSync(fd)
}, notUring)

ringTest('a linked timeout that follows nothing is refused', async t => {
  t.same(await resultsOf([ops.linkTimeout(1), ops.nop()]), [EINVAL, 0])
})

ringTest('a linked timeout limits the one before it, and its chain goes on behind what ended in time', async t => {
  const limited = (operation: Operation, ms: number): Operation[] => [operation.link(), ops.linkTimeout(ms).link(), ops.nop()]
  t.same(await resultsOf(limited(ops.timeout(600_000), 5)), [ECANCELED, ETIME, ECANCELED])
  t.same(await resultsOf(limited(ops.nop(), 600_000)), [0, ECANCELED, 0])
  t.same(await resultsOf(limited(ops.fsync(999_999), 600_000)), [EBADF, ECANCELED, ECANCELED])
  t.same(await resultsOf([ops.nop().link(), ...limited(ops.timeout(600_000), 5)]), [0, ECANCELED, ETIME, ECANCELED])
  const controller = new AbortController()
  const aborted = ring.batch(limited(ops.timeout(600_000), 600_000), { signal: controller.signal })
  await turns(2)
  controller.abort()
  const { completions } = await aborted.then(() => t.fail('it was aborted'), error => error)
  t.same(completions.map(({ result }: { result: number }) => result), [ECANCELED, ECANCELED, ECANCELED])
})

ringTest('on threads a linked timeout cannot stop what a thread does, and says so', async t => {
  await withRing(t, { engine: 'threads' }, async ring => {
    const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
    const limited = ring.batch([ops.read(fifo, Buffer.alloc(1)).link(), ops.linkTimeout(1).link(), ops.nop()])
    await ring.submit(ops.timeout(5))
    writeSync(fifo, 'x')
    t.same((await limited).map(({ result }) => result), [1, EALREADY, 0])
    closeSync(fifo)
  })
})

ringTest('a chain opens, renames and removes in the order of its links', async t => {
  const directory = t.testdir()
  const [first, second] = [join(directory, 'first'), join(directory, 'second')]
  const [opened, ...rest] = await resultsOf([ops.openat(first, 'wx').link(), ops.renameat(first, second).link(), ops.statx(second)])
  t.ok(opened > 0)
  t.same(rest, [0, 0])
  t.ok(statSync(second).isFile())
  t.same(await resultsOf([ops.close(opened).link(), ops.unlinkat(second).link(), ops.openat(second).link(), ops.nop()]), [0, 0, -2, ECANCELED])
})
