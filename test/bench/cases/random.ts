// Reads of 4 KiB anywhere in a file: what indexes, queues and caches do.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Bench } from '../bench.js'
import { childReport } from '../children.js'
import type { Reads } from '../fio.js'
import { fioMissing, fioReads } from '../fio.js'
import { digits, perOperation } from '../format.js'
import { seconds } from '../harness.js'
import type { Case, Comparison, Row } from '../harness.js'
import type { Plan, Way } from '../random-reads.js'
import { randomReads } from '../random-reads.js'

/** The fastest way of the public API: a registered file, a buffer of a pool, and one promise for each read. */
const ours: Way = 'ring.submit(ops.readFixed)'
const fio = 'fio io_uring'
const handle: Way = 'FileHandle.read'
const poolSizes = [4, 32, 128]

const poolName = (threads: number) => `fs.read, ${threads} threads`
/** So many bytes of the run's size for each read: a round then takes about a second of a disk, or half a one of memory. */
const sizePerRead = { direct: 16 * 1024, cached: 2 * 1024 }

/** A plan for each round, so that no round finds what the one before left in a cache of the disk's. */
function plans(bench: Bench, direct: boolean, depth: number): () => Plan {
  const { path } = bench.source()
  let { seed } = bench
  const count = Math.floor(bench.size / sizePerRead[direct ? 'direct' : 'cached'])
  return () => ({ path, bytes: bench.size, direct, depth, count, seed: seed++ })
}

function readsCase(way: Way, bench: Bench, plan: () => Plan): Case {
  const { content } = bench.source()
  return {
    name: way,
    verify: async () => { await randomReads(way, plan(), (block, at) => content.equals(block, at)) },
    async round() {
      const next = plan()
      return await randomReads(way, next, (block, at) => content.sample(block, at)) / next.count
    }
  }
}

/** Of a program's own report. */
function reportCase(name: string, report: () => number, missing?: string): Case {
  return { name, missing, verify: async () => { report() }, round: async () => report() }
}

const fioCase = (plan: () => Plan, figure: keyof Reads = 'seconds') =>
  reportCase(fio, () => fioReads(plan())[figure], fioMissing())

const childReads = (way: Way, plan: Plan, threads?: number) =>
  childReport<Reads>('random-reads', [way, JSON.stringify(plan)], threads ? { UV_THREADPOOL_SIZE: String(threads) } : {})

const poolCase = (threads: number, plan: () => Plan) =>
  reportCase(poolName(threads), () => childReads('fs.read', plan(), threads).seconds)

interface Wanted { depth: number; fio?: number; handle?: number; pools?: number }

function readsRow(direct: boolean, { depth, ...wanted }: Wanted): Row {
  const against = (peer: string, atLeast?: number): Comparison => ({ ours, peer, atLeast })
  const pools = wanted.pools === undefined ? [] : poolSizes
  return {
    name: `random 4 KiB reads, ${direct ? 'direct' : 'cached'}, ${depth} in flight`,
    note: `${ours} into buffers of a pool, in as many loops as are in flight; libuv has 4 threads, but where other numbers stand`,
    cases(bench) {
      const plan = () => plans(bench, direct, depth)
      const inProcess: Way[] = [ours, 'UringFile.readFixed', 'UringFile.read', handle]
      return [
        ...inProcess.map(way => readsCase(way, bench, plan())),
        fioCase(plan()),
        ...pools.map(threads => poolCase(threads, plan()))
      ]
    },
    goals: [
      against(fio, wanted.fio),
      against(handle, wanted.handle),
      ...pools.map(threads => against(poolName(threads), wanted.pools)),
      { ours: 'UringFile.readFixed', peer: handle },
      { ours: 'UringFile.read', peer: handle }
    ],
    format: perOperation,
    rate: taken => `${digits(1e-3 / taken)} thousand/s`
  }
}

const processorTime: Row = {
  name: "random 4 KiB reads, direct, 128 in flight, processors' time",
  note: 'user and system time of all threads of a process, per read',
  cases(bench) {
    const plan = () => plans(bench, true, 128)
    const reads = plan()
    return [
      reportCase(ours, () => childReads(ours, reads()).processorSeconds),
      fioCase(plan(), 'processorSeconds')
    ]
  },
  goals: [{ ours, peer: fio, atLeast: 1 }],
  format: perOperation
}

/** Seconds per read of all workers together, each of which has a ring of its own and a plan of the same size. */
async function workersRead(plan: () => Plan, count: number): Promise<number> {
  const each = Array.from({ length: count }, plan)
  const workers = each.map(one =>
    new Worker(new URL('../fixtures/reading-worker.js', import.meta.url), { workerData: { way: ours, plan: one } }))
  const exited = Promise.all(workers.map(worker => once(worker, 'exit'))); // the first may, before the second is done
  const said = () => Promise.all(workers.map(worker => once(worker, 'message')))
  await said()
  const taken = await seconds(() => {
    const done = said()
    for (const worker of workers) worker.postMessage('read')
    return done
  })
  await exited
  return taken / each.reduce((sum, one) => sum + one.count, 0)
}

function workersCase(name: string, plan: () => Plan, count: number): Case {
  const round = () => workersRead(plan, count)
  return { name, verify: async () => { await round() }, round }
}

const workers: Row = {
  name: 'random 4 KiB reads, cached, two workers',
  note: 'a ring in each, 128 in flight; per read of both together',
  cases: bench => [
    workersCase('two workers', plans(bench, false, 128), 2),
    workersCase('one worker', plans(bench, false, 128), 1)
  ],
  goals: [{ ours: 'two workers', peer: 'one worker', atLeast: 1.8 }],
  format: perOperation
}

export const randomRows: Row[] = [
  readsRow(true, { depth: 32, fio: 0.85, handle: 2 }),
  readsRow(true, { depth: 128, fio: 0.9, handle: 2, pools: 1.1 }),
  readsRow(true, { depth: 1024, fio: 0.9, handle: 2 }),
  readsRow(false, { depth: 32, fio: 1.3, handle: 6 }),
  readsRow(false, { depth: 128, fio: 1.3, handle: 6 }),
  readsRow(false, { depth: 1024, fio: 1.3, handle: 6 }),
  processorTime,
  workers
]
