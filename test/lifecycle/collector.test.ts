import { join } from 'node:path'
import t from 'tap'
import { reportOf } from '../helpers/child.js'
import { makeFifo, makeFile } from '../helpers/files.js'

const fixture = new URL('./fixtures/collecting.js', import.meta.url)

interface Report {
  digests: Record<string, string>
  collections: number
  usage: Record<string, number>
}

t.test('streams of every kind keep what they need while the garbage collector runs', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 1_234_567)
  makeFifo(join(directory, 'fifo'))
  const report = await reportOf<Report>(t, fixture, [source.path, directory], { node: ['--expose-gc'] })
  const names = Object.keys(report.digests)
  t.equal(names.length, 7)
  t.same(report.digests, Object.fromEntries(names.map(name => [name, source.sha256])))
  t.ok(report.collections > 100, `${report.collections} collections`)
  t.same(report.usage, { queued: 0, inFlight: 0, ready: 0, occupancy: 0, buffersInUse: 0, filesInUse: 0 })
})
