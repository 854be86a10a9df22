import t from 'tap'
import { FlushedPrefix } from '../../lib/flushed-prefix.js'
import type { Seeded } from '../helpers/seeded.js'
import { seededFor } from '../helpers/seeded.js'

interface Write { size: number, lost: boolean, asked: 'no' | 'well' | 'error', told: boolean }

/**
 * A window of synced writes over a kernel that loses one write's data and tells of it once: to whichever of the writes
 * in flight asks first. Gives what was counted as flushed, and where the lost data begins.
 */
function play(random: Seeded, losesOne: boolean): { flushed: number, total: number, lostFrom: number } {
  const count = random.between(1, 20)
  const depth = random.between(1, 6)
  const lostIndex = losesOne ? random.between(0, count - 1) : -1
  const writes = Array.from({ length: count }, (_, i): Write => ({ size: random.between(1, 100), lost: i === lostIndex, asked: 'no', told: false }))
  const bytes = (list: Write[]): number => list.reduce((sum, { size }) => sum + size, 0)
  const prefix = new FlushedPrefix()
  let [started, failed, pending] = [0, false, false]
  const inFlight = (): Write[] => writes.slice(0, started).filter(write => !write.told)
  for (;;) {
    while (!failed && started < count && inFlight().length < depth) pending = writes[started++].lost || pending
    const flying = inFlight()
    if (flying.length === 0) break
    const write = random.pick(flying)
    if (write.asked === 'no') {
      write.asked = pending ? 'error' : 'well'
      pending = false
      continue
    }
    write.told = true
    failed ||= write.asked === 'error'
    const unfinished = writes.findIndex(each => !each.told)
    if (!failed) prefix.advance(bytes(unfinished < 0 ? writes : writes.slice(0, unfinished)), bytes(writes.slice(0, started)))
  }
  return { flushed: prefix.bytes, total: bytes(writes), lostFrom: lostIndex < 0 ? Infinity : bytes(writes.slice(0, lostIndex)) }
}

t.test('what counts as flushed is on the disk, whichever write is told of the loss', async t => {
  const random = seededFor(t)
  let lies = 0
  let some = 0
  for (let i = 0; i < 5000; i++) {
    const { flushed, lostFrom } = play(random, true)
    if (flushed > lostFrom) lies++
    if (flushed > 0) some++
  }
  t.equal(lies, 0)
  t.ok(some > 500, `something was flushed before the loss in ${some} of 5000`)
})

t.test('where nothing is lost, all of it counts in the end', async t => {
  const random = seededFor(t)
  for (let i = 0; i < 500; i++) {
    const { flushed, total } = play(random, false)
    if (flushed !== total) t.fail(`${flushed} of ${total}`)
  }
  t.pass('500 windows')
})
