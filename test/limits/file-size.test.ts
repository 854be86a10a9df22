import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { reportOf } from '../helpers/child.js'
import { notLinux } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'

const fixture = new URL('./fixtures/file-size.js', import.meta.url)
const limit = 1_000_001
const content = patterned(3_000_000, 7)

interface Left {
  error: { code?: string }
  events: string[]
  size: number
  bytesWritten: number
  sha256: string
}

for (const piece of [100, 16_384, 70_000, 3_000_000]) {
  t.test(`a file that may not grow further fails with EFBIG as with node:fs (writes of ${piece} bytes)`, { skip: notLinux }, async t => {
    const directory = t.testdir()
    // Made here: the child may not write so much.
    writeFileSync(join(directory, 'source'), content)
    const report = await reportOf<{ uring: Left, node: Left, copied: Left, usage: object }>(
      t, fixture, [String(piece), directory], { wrap: ['prlimit', `--fsize=${limit}`] })
    const { uring, node, copied, usage } = report
    t.equal(uring.error.code, 'EFBIG')
    t.same(uring.error, node.error)
    t.same(uring.events, node.events)
    for (const [name, left] of Object.entries({ uring, copied })) {
      t.same(left.error, node.error, `${name}: the error`)
      t.equal(left.bytesWritten, left.size, `${name}: bytesWritten is the size of the file`)
      t.ok(left.size <= limit)
      t.equal(left.sha256, sha256(content.subarray(0, left.size)), `${name}: what is left is the beginning`)
    }
    t.same([uring.size, copied.size], [node.size, limit], 'everything that fits is in the file')
    t.same(usage, { queued: 0, inFlight: 0, ready: 0, occupancy: 0, buffersInUse: 0, filesInUse: 0 })
  })
}
