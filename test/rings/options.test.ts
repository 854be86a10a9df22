import { availableParallelism } from 'node:os'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { ops, Ring } from '../../lib/index.js'
import type { RingOptions } from '../../lib/index.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { readPieces, refused, ringThreads, ringThreadsGone, threadsNamed } from '../helpers/ring-modes.js'
import { notUring, ringTest } from '../helpers/ring-state.js'
import { thrown, turns, until } from '../helpers/stream-events.js'

/** A test that begins and ends without a polling thread. */
function sqPollTest(name: string, body: (t: Test) => Promise<void>): void {
  ringTest(name, async t => {
    await ringThreadsGone()
    await body(t)
    await ringThreadsGone()
  }, noSqPoll)
}

const sqPoll = { sqPoll: { idleMs: 20 } }
const noSqPoll = await refused(sqPoll)
const noWorkersMax = await refused({ workersMax: { bounded: 1 } })

const wrong: [string, object][] = [
  ['ERR_INVALID_ARG_TYPE', { clamp: 1 }],
  ['ERR_INVALID_ARG_TYPE', { ioPoll: 'yes' }],
  ['ERR_INVALID_ARG_TYPE', { sqPoll: 5 }],
  ['ERR_INVALID_ARG_TYPE', { sqPoll: null }],
  ['ERR_OUT_OF_RANGE', { sqPoll: { idleMs: -1 } }],
  ['ERR_OUT_OF_RANGE', { sqPoll: { idleMs: 0.5 } }],
  ['ERR_INVALID_ARG_TYPE', { sqPoll: { cpu: '0' } }],
  ['ERR_OUT_OF_RANGE', { sqPoll: { cpu: -1 } }],
  ['ERR_INVALID_ARG_TYPE', { attach: {} }],
  ['ERR_INVALID_ARG_TYPE', { attach: null }],
  ['ERR_INVALID_ARG_TYPE', { workersMax: 4 }],
  ['ERR_OUT_OF_RANGE', { workersMax: { bounded: -1 } }],
  ['ERR_OUT_OF_RANGE', { workersMax: { unbounded: 2 ** 31 } }],
  ['ERR_INVALID_ARG_VALUE', { wakeup: 'signal' }],
  ['ERR_INVALID_ARG_VALUE', { ioPoll: true, wakeup: 'eventfd' }],
  ['ERR_OUT_OF_RANGE', { clamp: false, entries: 32_769 }],
  ['ERR_OUT_OF_RANGE', { clamp: false, entries: 8, cqEntries: 65_537 }]
]
for (const [code, options] of wrong) {
  t.throws(() => new Ring(options as RingOptions), { code }, `${code} for ${JSON.stringify(options)}`)
}

ringTest('a completion queue alone may be smaller than the default submission queue', async t => {
  const ring = new Ring({ cqEntries: 100 })
  t.equal(ring.stats().capacity, 127)
  t.equal((await ring.submit(ops.nop())).result, 0)
  await ring.close()
  for (const cqEntries of [0, 1.5, NaN]) t.throws(() => new Ring({ cqEntries }), { code: 'ERR_OUT_OF_RANGE' }, `${cqEntries}`)
})

ringTest('a ring that cannot be attached to is named in a message of readable length', async t => {
  const plain = new Ring()
  const { message } = thrown(() => new Ring({ sqPoll: true, attach: plain })) as Error
  t.match(message, /^The property 'options\.attach' has no polling thread to share.*\. Received <ref \*1> Ring \{/)
  t.ok(message.length < 300, `${message.length} characters`)
  await plain.close()
}, notUring)

ringTest('sizes beyond the kernel\'s are clamped to what it allows', async t => {
  const ring = new Ring({ entries: 1_000_000 })
  t.equal(ring.stats().capacity, 65_535)
  t.same(await ring.submit(ops.nop()), { result: 0, flags: 0 })
  await ring.close()
}, notUring)

ringTest('a ring of the largest sizes needs no clamping', async t => {
  const ring = new Ring({ clamp: false, entries: 32_768, cqEntries: 65_536 })
  t.equal(ring.stats().capacity, 65_535)
  await ring.close()
}, notUring)

sqPollTest('with sqPoll a thread of the kernel\'s submits: no system call does while it is awake', async t => {
  const ring = new Ring({ sqPoll: { idleMs: 60_000 } })
  await ring.submit(ops.nop()) // it begins asleep
  t.equal(ringThreads().length, 1)
  const { enters } = ring.stats()
  for (let i = 0; i < 50; i++) await ring.submit(ops.nop())
  t.equal(ring.stats().submitted, 51)
  t.equal(ring.stats().enters, enters)
  await ring.close()
})

sqPollTest('a polling thread that sleeps is woken by the next operation', async t => {
  const ring = new Ring({ sqPoll: { idleMs: 1 } })
  let woken = 0
  // When it falls asleep is the kernel's to decide.
  while (woken < 3) {
    await new Promise(resolve => setTimeout(resolve, 20))
    const before = ring.stats().enters
    t.same(await ring.submit(ops.nop()), { result: 0, flags: 0 })
    woken += ring.stats().enters - before
  }
  await ring.close()
})

sqPollTest('the polling thread runs on the processor that was asked for, and one that does not exist is an error', async t => {
  const cpu = availableParallelism() - 1
  const ring = new Ring({ sqPoll: { idleMs: 20, cpu } })
  await until(() => ringThreads().length === 1)
  const status = readFileSync(`/proc/self/task/${ringThreads()[0].id}/status`, 'latin1')
  t.equal(/Cpus_allowed_list:\s+(\S+)/.exec(status)![1], String(cpu))
  t.same(await ring.submit(ops.nop()), { result: 0, flags: 0 })
  await ring.close()
  t.throws(() => new Ring({ sqPoll: { cpu: 100_000 } }), {
    code: 'EINVAL', syscall: 'io_uring_setup', message: /^EINVAL: .* refuses a ring with \{ sqPoll: \{ cpu: 100000 \} \}$/
  })
})

sqPollTest('rings attached to one with sqPoll share its thread, also when that one is closed', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 300_001)
  const fd = openSync(source.path, 'r')
  const first = new Ring(sqPoll)
  const others = [1, 2].map(() => new Ring({ ...sqPoll, attach: first }))
  await until(() => ringThreads().length === 1) // it gives itself its name
  for (const bytes of await Promise.all([first, ...others].map(ring => readPieces(ring, fd, 300_001)))) {
    t.ok(bytes.equals(source.content))
  }
  t.equal(ringThreads().length, 1)
  await first.close()
  for (const ring of others) {
    t.ok((await readPieces(ring, fd, 300_001)).equals(source.content))
    await ring.close()
  }
  closeSync(fd)
})

sqPollTest('links hold on a shared polling thread, which takes few operations at a time', async t => {
  const first = new Ring(sqPoll)
  const rings = [first, new Ring({ ...sqPoll, attach: first })]
  const chain = (): ReturnType<typeof ops.nop>[] => [ops.read(-1 >>> 1, Buffer.alloc(1), 0).link(), ...Array.from({ length: 6 }, () => ops.nop().link()), ops.nop()]
  const batches = rings.flatMap(ring => Array.from({ length: 40 }, () => {
    for (let i = 0; i < 5; i++) void ring.submit(ops.nop())
    return ring.batch(chain())
  }))
  for (const completions of await Promise.all(batches)) {
    const results = completions.map(({ result }) => result)
    if (results.join() !== [-9, ...Array<number>(7).fill(-125)].join()) t.same(results, [-9, -125, '…'], 'each is cancelled after EBADF')
  }
  await t.rejects(first.batch(Array.from({ length: 9 }, () => ops.nop().link())), { code: 'ERR_OUT_OF_RANGE' }, 'and none is longer than it takes')
  for (const ring of rings) await ring.close()
})

sqPollTest('what cannot be attached to is refused', async t => {
  const plain = new Ring()
  const attached = new Ring({ attach: plain })
  t.same(await attached.submit(ops.nop()), { result: 0, flags: 0 }, 'without sqPoll there is nothing to share, and it works')
  await attached.close()
  t.throws(() => new Ring({ ...sqPoll, attach: plain }), { code: 'ERR_INVALID_ARG_VALUE' }, 'no polling thread')
  await plain.close()
  t.throws(() => new Ring({ attach: plain }), { code: 'ERR_INVALID_ARG_VALUE' }, 'closed')
})

ringTest('workersMax bounds how many of the kernel\'s workers run at once', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  /** Opens that wait for somebody at the other end, each on a worker; tells how many workers there were. */
  const workersOf = async (ring: Ring, least: number): Promise<number> => {
    const open = () => ring.submit(ops.openat(fifo, 'r').async())
    const opens = Array.from({ length: 5 }, open)
    // A worker is made by a fork, which the kernel gives up after some refusals (WORKER_INIT_LIMIT in io_uring/io-wq.c):
    // it asks for that worker again when more work comes.
    await until(() => opens.push(open()) > 0 && threadsNamed(/^iou-wrk/).length >= least)
    await turns(100)
    const count = threadsNamed(/^iou-wrk/).length
    const other = openSync(fifo, 'r+')
    for (const { result } of await Promise.all(opens)) closeSync(result)
    closeSync(other)
    return count
  }
  const narrow = new Ring({ workersMax: { bounded: 2 } })
  t.equal(await workersOf(narrow, 2), 2)
  const wide = new Ring({ workersMax: { bounded: 64 } })
  t.ok(await workersOf(wide, 5) >= 5)
  await narrow.close()
  await wide.close()
}, noWorkersMax)

ringTest('on threads the options of io_uring\'s set-up change nothing', async t => {
  const ring = new Ring({ engine: 'threads', sqPoll: true, workersMax: { bounded: 1 }, wakeup: 'thread' })
  t.equal(ring.stats().engine, 'threads')
  t.same(await ring.submit(ops.nop()), { result: 0, flags: 0 })
  await ring.close()
})
