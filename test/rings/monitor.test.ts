import diagnostics from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import t from 'tap'
import { createUringReadStream, createUringWriteStream, ops, probe, Ring, UringWriteStream } from '../../lib/index.js'
import type { CompleteMessage, SubmitMessage } from '../../lib/index.js'
import * as streamx from '../../lib/streamx.js'
import { digestOf, makeFile } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

ringTest('a monitor counts the operations of each kind while it is on, and only then', async t => {
  const { path, sha256 } = makeFile(join(t.testdir(), 'file'), 100_000)
  const ring = new Ring()
  await ring.submit(ops.nop())
  const monitor = ring.monitor()
  for (let i = 0; i < 10; i++) await ring.submit(ops.nop())
  await t.rejects(ring.submit(ops.close(1_000_000)), { code: 'EBADF' })
  t.equal(await digestOf(createUringReadStream(path, { ring, chunkSize: 50_000 })), sha256)
  const summary = monitor.summary()
  t.equal(summary.nop.count, 10)
  t.equal(summary.openat.count, 1)
  t.ok(summary.read.count >= 2)
  const { min, p50, p90, p99, p999, max } = summary.nop
  t.ok(min > 0 && min <= p50 && p50 <= p90 && p90 <= p99 && p99 <= p999 && p999 <= max, 'percentiles rise')
  monitor.stop()
  await ring.submit(ops.nop())
  t.equal(monitor.histograms.get('nop')!.count, 10)
  await ring.close()
})

ringTest('two monitors of a ring do not disturb each other', async t => {
  const ring = new Ring()
  const [one, two] = [ring.monitor(), ring.monitor()]
  await ring.submit(ops.nop())
  one.stop()
  await ring.submit(ops.nop())
  t.same([one, two].map(monitor => monitor.summary().nop.count), [1, 2])
  two.stop()
  await ring.close()
})

ringTest('submissions and completions are published to those who subscribe', async t => {
  const ring = new Ring()
  const submits: SubmitMessage[] = []
  const completes: CompleteMessage[] = []
  const onSubmit = (message: unknown): void => void submits.push(message as SubmitMessage)
  const onComplete = (message: unknown): void => void completes.push(message as CompleteMessage)
  diagnostics.subscribe('uring-streams:submit', onSubmit)
  diagnostics.subscribe('uring-streams:complete', onComplete)
  const nop = ops.nop()
  await ring.submit(nop)
  await t.rejects(ring.submit(ops.close(1_000_000)))
  diagnostics.unsubscribe('uring-streams:submit', onSubmit)
  diagnostics.unsubscribe('uring-streams:complete', onComplete)
  await ring.submit(ops.nop())
  t.same(submits.map(({ operation }) => operation), ['nop', 'close'])
  t.same(completes.map(({ operation, result }) => [operation, result]), [['nop', 0], ['close', -9]])
  t.equal(submits[0].ring, ring)
  t.equal(submits[0].request, nop)
  t.equal(completes[0].request, nop)
  await ring.close()
})

t.test('probe tells which operations the kernel has, and how much memory may be locked', { skip: notUring }, async t => {
  const { operations, memlock } = probe()
  t.ok(operations!.supported.includes('read') && operations!.supported.includes('nop'))
  t.same(operations!.supported.filter(name => operations!.missing.includes(name)), [])
  const ring = new Ring()
  for (const [name, operation] of Object.entries({ ftruncate: ops.ftruncate(1_000_000), unlinkat: ops.unlinkat('/nowhere') })) {
    const { code } = await ring.submit(operation).then(() => ({ code: '' }), (error: NodeJS.ErrnoException) => error)
    t.equal(code === 'EINVAL', operations!.missing.includes(name), `${name}: ${code}`)
  }
  await ring.close()
  const line = readFileSync('/proc/self/limits', 'latin1').split('\n').find(each => each.startsWith('Max locked memory'))!
  t.equal(memlock === Infinity ? 'unlimited' : String(memlock), line.split(/\s{2,}/)[1])
})

ringTest('a subscriber that submits and aborts while a chain is given to the kernel does not break it', async t => {
  for (const abort of [false, true]) {
    const ring = new Ring({ entries: 8, cqEntries: 8 })
    const controller = new AbortController()
    const more: Promise<unknown>[] = []
    let left = 7
    const onSubmit = (): void => {
      if (abort) controller.abort()
      else while (left > 0) more.push(ring.submit(left-- > 3 ? ops.nop() : ops.close(1_000_000)).catch(({ code }) => code))
    }
    diagnostics.subscribe('uring-streams:submit', onSubmit)
    const chain = [ops.timeout(1).hardlink(), ops.nop().link(), ops.close(1_000_000).link(), ops.timeout(600_000)]
    const batch = ring.batch(chain, { signal: controller.signal })
    if (abort) await t.rejects(batch, { code: 'ABORT_ERR' })
    else t.same((await batch).map(({ result }) => result), [-62, 0, -9, -125])
    t.same((await Promise.all(more)).filter(each => each === 'EBADF').length, abort ? 0 : 3)
    diagnostics.unsubscribe('uring-streams:submit', onSubmit)
    await ring.close()
  }
})

ringTest('a subscriber that destroys the stream whose read or write it is told of leaves nothing in flight or on loan', async t => {
  const content = patterned(1_000_000)
  const directory = t.testdir({ source: content })
  const [source, target] = [join(directory, 'source'), join(directory, 'target')]
  const chunkSize = 64 * 1024
  const begin: ((ring: Ring) => Readable | Writable)[] = [
    ring => createUringReadStream(source, { ring, chunkSize }).resume(),
    ring => createUringReadStream(source, { ring, chunkSize, buffers: 'leased' }).resume(),
    ring => createUringWriteStream(target, { ring, chunkSize }).end(content),
    ring => streamx.createUringReadStream(source, { ring, chunkSize }).resume() as unknown as Readable
  ]
  for (const beginOn of begin) {
    for (let last = 1; last <= 12; last++) {
      await withRing(t, {}, async ring => {
        let told = 0
        const onSubmit = (message: unknown): void => {
          if ((message as SubmitMessage).ring === ring && ++told === last) stream.destroy()
        }
        const stream = beginOn(ring)
        diagnostics.subscribe('uring-streams:submit', onSubmit)
        await closing(stream)
        diagnostics.unsubscribe('uring-streams:submit', onSubmit)
        if (!(stream instanceof UringWriteStream)) return
        const written = readFileSync(target)
        t.ok(written.length === stream.bytesWritten && written.equals(content.subarray(0, written.length)), 'a prefix is written')
      })
    }
  }
})
