// What one operation costs that does nothing.
import type { CompletionCallback } from '../../../lib/index.js'
import { Ring, ops } from '../../../lib/index.js'
import { bareByBatch, bareByCallback, bareByPromise, succeeded } from '../bare-nops.js'
import { perOperation } from '../format.js'
import { seconds } from '../harness.js'
import type { Case, Row } from '../harness.js'

const batchLength = 64
const flood = 100_000

/** Runs `count` nops, so many in flight. */
type Nops = (count: number, inFlight: number) => Promise<void>

/** `inFlight` loops that each await their own operation keep that many in flight until the last ones. */
const byPromise: Nops = async (count, inFlight) => {
  const ring = Ring.shared()
  let left = count
  const loop = async () => {
    while (left-- > 0) succeeded((await ring.submit(ops.nop())).result)
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
}

const byCallback: Nops = (count, inFlight) => new Promise((resolve, reject) => {
  const ring = Ring.shared()
  let [toSubmit, toComplete] = [count, count]
  const completed: CompletionCallback = (error, result) => {
    if (error !== null || result !== 0) return reject(error ?? new Error(`a nop gave ${result}`))
    if (--toComplete === 0) resolve()
    else if (toSubmit > 0) submit()
  }
  const submit = () => {
    toSubmit--
    ring.submit(ops.nop(), completed)
  }
  for (let i = 0; i < inFlight; i++) submit()
})

/** One batch after another. */
const byBatch: Nops = async (count, inFlight) => {
  const ring = Ring.shared()
  for (let left = count; left > 0; left -= inFlight) {
    const operations = []; // Array.from took 35 ns for each
    for (let i = 0; i < inFlight; i++) operations.push(ops.nop())
    const completions = await ring.batch(operations)
    if (completions.length !== inFlight) throw new Error(`${completions.length} completions of a batch of ${inFlight}`)
    for (const { result } of completions) succeeded(result)
  }
}

/** All of them at once, far more than the ring has place for. */
const atOnce: Nops = async (count, inFlight) => {
  const ring = Ring.shared()
  for (let left = count; left > 0; left -= inFlight) {
    const completions = await Promise.all(Array.from({ length: inFlight }, () => ring.submit(ops.nop())))
    for (const { result } of completions) succeeded(result)
  }
}

function nopCase(name: string, nops: Nops, inFlight: number, count: number): Case {
  const round = async () => {
    const completedBefore = Ring.shared().stats().completed
    const taken = await seconds(() => nops(count, inFlight))
    const { completed, inFlight: stillInFlight, queued } = Ring.shared().stats()
    if (completed - completedBefore !== count) throw new Error(`${completed - completedBefore} of ${count} nops completed`)
    if (stillInFlight + queued !== 0) throw new Error(`${stillInFlight} nops in flight and ${queued} queued at the end`)
    return taken / count
  }
  return caseOf(name, round)
}

/** Warmed up by a whole round, for the compiler to have seen the loop. */
function caseOf(name: string, round: () => Promise<number>): Case {
  return { name, verify: async () => { await round() }, round }
}

/** The same loop without the library. */
function bareCase(name: string, nops: Nops, inFlight: number, count: number): Case {
  return caseOf(`bare engine, ${name}`, async () => await seconds(() => nops(count, inFlight)) / count)
}

export const nopRows: Row[] = [{
  name: 'ops.nop',
  note: `per operation; promises: \`await ring.submit(ops.nop())\` in as many loops as are in flight; at once: as many in one turn, awaited ` +
    'together; bare engine: the same loops without the library, over its native side alone',
  cases: () => [
    nopCase('promises, 1 in flight', byPromise, 1, 200_000),
    nopCase('promises, 32 in flight', byPromise, 32, 1_000_000),
    nopCase('promises, 1024 in flight', byPromise, 1024, 2_000_000),
    nopCase(`promises, ${flood} at once`, atOnce, flood, 5 * flood),
    nopCase('callbacks, 32 in flight', byCallback, 32, 2_000_000),
    nopCase('callbacks, 1024 in flight', byCallback, 1024, 4_000_000),
    nopCase(`ring.batch of ${batchLength}`, byBatch, batchLength, 1_280_000),
    bareCase('promises, 32 in flight', bareByPromise, 32, 1_000_000),
    bareCase('promises, 1024 in flight', bareByPromise, 1024, 2_000_000),
    bareCase('callbacks, 32 in flight', bareByCallback, 32, 2_000_000),
    bareCase('callbacks, 1024 in flight', bareByCallback, 1024, 4_000_000),
    bareCase(`batch of ${batchLength}`, bareByBatch, batchLength, 1_280_000)
  ],
  goals: [
    { ours: 'promises, 1 in flight', atMost: 1.5e-6 },
    { ours: 'promises, 32 in flight', atMost: 220e-9 },
    { ours: 'promises, 1024 in flight', atMost: 220e-9 },
    { ours: `promises, ${flood} at once`, atMost: 1.2e-6 },
    { ours: 'callbacks, 32 in flight', atMost: 120e-9 },
    { ours: 'callbacks, 1024 in flight', atMost: 120e-9 },
    { ours: `ring.batch of ${batchLength}`, atMost: 120e-9 },
    { ours: 'promises, 32 in flight', peer: 'bare engine, promises, 32 in flight' },
    { ours: 'promises, 1024 in flight', peer: 'bare engine, promises, 1024 in flight' },
    { ours: 'callbacks, 32 in flight', peer: 'bare engine, callbacks, 32 in flight' },
    { ours: 'callbacks, 1024 in flight', peer: 'bare engine, callbacks, 1024 in flight' },
    { ours: `ring.batch of ${batchLength}`, peer: `bare engine, batch of ${batchLength}` }
  ],
  format: perOperation
}]
