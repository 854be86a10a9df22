/** What tools that look for open handles (jest --detectOpenHandles) see of a ring: that it does not keep an idle process. */
import { createHook } from 'node:async_hooks'
import t from 'tap'
import { ops, Ring } from '../../lib/index.js'
import { notUring, ringTest } from '../helpers/ring-state.js'
import { turns } from '../helpers/stream-events.js'

interface Handle { hasRef(): boolean }

ringTest('a ring is a handle that is referenced while something is in flight, and gone once the ring is closed', async t => {
  const seen = new Map<number, Handle>()
  const hook = createHook({
    init: (id, type, _trigger, resource) => { if (type === 'URINGSTREAMS') seen.set(id, resource as Handle) },
    destroy: id => { seen.delete(id) }
  }).enable()
  t.teardown(() => hook.disable())
  const ring = new Ring({ entries: 4, engine: 'uring' })
  const [handle] = seen.values()
  t.equal(seen.size, 1)
  t.equal(handle.hasRef(), false)
  const timeout = ops.timeout(3_600_000)
  const waiting = ring.submit(timeout)
  t.equal(handle.hasRef(), true)
  await ring.submit(ops.cancel(timeout))
  await t.rejects(waiting, { code: 'ECANCELED' })
  await turns(2)
  t.equal(handle.hasRef(), false)
  await ring.close()
  await turns(2)
  t.equal(seen.size, 0)
}, notUring)

if (notUring) t.test('on threads a ring is no handle', async t => {
  let seen = 0
  const hook = createHook({ init: (_id, type) => { if (type === 'URINGSTREAMS') seen++ } }).enable()
  t.teardown(() => hook.disable())
  await new Ring({ engine: 'threads' }).close()
  t.equal(seen, 0)
})
