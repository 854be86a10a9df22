// Several rings in one thread.
import { openSync, closeSync } from 'node:fs'
import { join } from 'node:path'
import { ops, Ring } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { seededFor } from '../helpers/seeded.js'

// What one ring's completion begins on another is submitted before the event loop sleeps: no timer may be waiting here, it would
// wake the loop. Both orders are needed, for libuv calls the hooks of the newest ring first.
for (const wakeup of ['ring', 'eventfd', 'thread'] as const) {
  ringTest(`an operation on one ring begins when that of another has ended (${wakeup})`, async t => {
    const { path, content } = makeFile(join(t.testdir(), 'file'), 100_000)
    const fd = openSync(path, 'r')
    const rings = [new Ring({ wakeup }), new Ring(), new Ring({ wakeup })]
    const random = seededFor(t)
    let same = 0
    for (let i = 0; i < 500; i++) {
      const ring = random.pick(rings)
      if (random.chance()) await ring.submit(ops.nop())
      const [position, bytes] = [random.between(0, 99_000), Buffer.alloc(1000)]
      const { result } = await ring.submit(ops.read(fd, bytes, position))
      if (result === 1000 && bytes.equals(content.subarray(position, position + 1000))) same++
    }
    t.equal(same, 500)
    for (const ring of rings) await ring.close()
    closeSync(fd)
  })
}
