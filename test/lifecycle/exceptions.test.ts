import t from 'tap'
import { reportOf, runChild } from '../helpers/child.js'
import { makeFiles } from '../helpers/files.js'

const throwing = new URL('./fixtures/throwing-listener.js', import.meta.url)
const sizes = [500_000, 70_000, 8192, 300_001, 1]

interface Report {
  caught: string[]
  chunks: number
  digests: string[]
  usage: Record<string, number>
}

for (const buffers of ['owned', 'leased']) {
  t.test(`an exception from a 'data' listener ends the process with code 1 and its message (${buffers})`, async t => {
    const sources = makeFiles(t.testdir(), sizes).map(file => file.path)
    const { code, signal, stdout, stderr } = await runChild(t, throwing, [buffers, 'die', ...sources])
    t.same({ code, signal, stdout }, { code: 1, signal: null, stdout: '' })
    t.match(stderr, /Error: thrown at chunk 0\n/)
  })

  t.test(`a 'data' listener that throws costs no other stream a chunk where the process goes on (${buffers})`, async t => {
    const files = makeFiles(t.testdir(), sizes)
    const report = await reportOf<Report>(t, throwing, [buffers, 'on', ...files.map(file => file.path)])
    t.same(report.digests, files.map(file => file.sha256))
    t.ok(report.chunks > 0, `it threw ${report.chunks} times`)
    t.equal(report.caught.length, report.chunks, 'each exception was reported')
    t.same(report.usage, { queued: 0, inFlight: 0, ready: 0, occupancy: 0, buffersInUse: 0, filesInUse: 0 })
  })
}
