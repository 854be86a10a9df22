import t from 'tap'
import { reportOf } from '../helpers/child.js'
import { notUring } from '../helpers/ring-state.js'
import { seededFor } from '../helpers/seeded.js'

const fixture = new URL('./fixtures/terminate-workers.js', import.meta.url)
const workers = 100
/** A worker that left its ring or its buffers behind would cost megabytes each time. */
const grownKiBMax = 48 * 1024

interface Report {
  descriptors: [number, number]
  warmKiB: number
  grownKiB: number
  exits: [number, number][]
}

t.test(`worker.terminate() with reads and writes in flight, at ${workers} random moments`, { skip: notUring }, async t => {
  const seed = seededFor(t).between(1, 2 ** 31)
  const report = await reportOf<Report>(t, fixture, [String(seed), String(workers), t.testdir()])
  // 0 is what node answers when it had not yet begun to run.
  const ended = report.exits.filter(([code]) => code === 0 || code === 1)
  t.equal(ended.reduce((sum, [, count]) => sum + count, 0), workers, 'each worker ends with the code of terminate')
  t.equal(report.descriptors[1], report.descriptors[0], 'no descriptor is left')
  t.ok(report.grownKiB < grownKiBMax, `memory grew by ${report.grownKiB} KiB from ${report.warmKiB} KiB`)
})
