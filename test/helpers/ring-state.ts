import type { Test } from 'tap'
import { probe, Ring } from '../../lib/index.js'
import type { RingOptions } from '../../lib/index.js'
import { Opcode } from '../../lib/engine.js'
import { streamTest } from './descriptors.js'
import { turns } from './stream-events.js'

/** The reason to skip what needs io_uring where there is none, or where the threads engine is under test. */
export const notUring: string | false = Ring.shared().stats().engine !== 'uring' &&
  `the ring runs on threads: ${probe().reason || 'URING_STREAMS_ENGINE says so'}`

/** Makes the thread's rings of both engines: their descriptors are then no leak of the test that comes first. */
export function makeSharedRings(): void {
  Ring.shared('threads')
  if (!notUring) Ring.shared('uring')
}

/** The reason to skip what needs direct IO, on either engine; the variable is of test/arm64/run. */
export const notDirect: string | false = process.env.URING_STREAMS_TEST_NOT_DIRECT ||
  !Ring.shared().engine.aligns && 'without the addon memory cannot be aligned'

/** Whether this kernel is older than that version, for what cannot be asked of it. */
export function kernelBefore(major: number, minor = 0): boolean {
  const [here, below] = (probe().kernel ?? '0.0').split('.').map(Number)
  return here < major || (here === major && below < minor)
}

/** What of a ring is in use. All of it is 0 when its streams have closed. */
export function usage(ring: Ring): object {
  const { queued, inFlight, ready, occupancy, buffersInUse, filesInUse } = ring.stats()
  return { queued, inFlight, ready, occupancy, buffersInUse, filesInUse }
}

const unused = { queued: 0, inFlight: 0, ready: 0, occupancy: 0, buffersInUse: 0, filesInUse: 0 }

/** Asserts that a ring has nothing queued, in flight, undelivered or installed, and no buffer out. */
export function assertUnused(t: Test, ring: Ring, name = 'nothing of the ring is in use'): void {
  t.same(usage(ring), unused, name)
}

/** A test that must leave neither a descriptor open nor anything of the shared ring in use. */
export function ringTest(name: string, body: (t: Test) => Promise<void>, skip: string | false = false): void {
  streamTest(name, async t => {
    await body(t)
    await turns(2) // libuv gives a closed ring's descriptor back at the end of a turn
    await Ring.shared()['idle']() // a stream that nobody waits for closes its file in its own time, on threads most of all
    assertUnused(t, Ring.shared(), 'nothing of the shared ring is in use')
  }, skip)
}

/** Lends a ring of its own, which must be unused at the end, and closes it. */
export async function withRing<T>(t: Test, options: RingOptions, body: (ring: Ring) => Promise<T>): Promise<T> {
  const ring = new Ring(options)
  const result = await body(ring)
  assertUnused(t, ring)
  await ring.close()
  return result
}

/** Makes reads take as long as those of a slow disk; tells how many were in flight at most. */
export function slowReads(ring: Ring): () => number {
  let [now, most] = [0, 0]
  const start = ring.engine.start.bind(ring.engine)
  ring.engine.start = request => {
    if (request.opcode !== Opcode.read) return start(request)
    most = Math.max(most, ++now)
    setTimeout(() => {
      now--
      start(request)
    }, 2)
  }
  return () => most
}
