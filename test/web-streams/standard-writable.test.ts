/*
 * The Web Platform Tests (web-platform-tests/wpt, streams/writable-streams/) that apply to a writable stream whose sink is a
 * file. Under "here" is the number of a test below; writable, writable-errors, pipe are the other files.
 *
 * | file         | here |
 * |---|---|
 * | aborting     | 1-7, writable-errors (at every stage, of a write and a close that wait) |
 * | close        | 8-11, writable-errors |
 * | error        | 12, writable-errors |
 * | write        | 13-15, writable |
 * | general      | 16-18 |
 * | start        | 19 |
 * | backpressure | 15, writable (desiredSize and ready) |
 *
 * Of the platform, of strategies (the stream takes none) or of a sink that does wrong, and so not here: brand-checks, properties,
 * constructor, bad-underlying-sinks, bad-strategies, byte-length- and count-queuing-strategy, floating-point-total-queue-size,
 * reentrant-strategy, writer-realm.
 */
import { closeSync, constants, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { WritableStreamDefaultWriter } from 'node:stream/web'
import type { WritableStreamDefaultWriter as Writer } from 'node:stream/web'
import { createUringWritableStream, Ring } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, usage, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { thrown, turns, until } from '../helpers/stream-events.js'
import { fileAndTarget, rejection, watch } from '../helpers/web-streams.js'

const reason = new Error('reason')
const opened = (): Promise<void> => until(() => Ring.shared().stats().filesInUse === 1)

/** Notes the order in which promises settle. */
function orderOf(promises: Record<string, Promise<unknown>>): string[] {
  const order: string[] = []
  for (const [name, promise] of Object.entries(promises)) {
    const note = (): void => { order.push(name) }
    promise.then(note, note)
  }
  return order
}

ringTest('1. abort before the file is open rejects write, ready and closed with its reason', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  const write = writer.write('x')
  const { ready } = writer
  const aborted = writer.abort(reason)
  t.equal(writer.ready, ready)
  for (const promise of [ready, write, writer.closed]) t.equal(await rejection(promise), reason)
  t.equal(await aborted, undefined)
  t.equal(statSync(target).size, 0)
})

ringTest('2. abort makes a ready that was fulfilled a rejected one, which rejects before closed', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  await opened()
  const { ready } = writer
  await ready
  const aborted = writer.abort(reason)
  t.not(writer.ready, ready)
  const order = orderOf({ ready: writer.ready, closed: writer.closed })
  t.same([await rejection(writer.ready), await rejection(writer.closed)], [reason, reason])
  await aborted
  t.same(order, ['ready', 'closed'])
})

ringTest('3. what is written or closed after an abort rejects with its reason', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  const aborted = writer.abort(reason)
  for (const promise of [writer.write('1'), writer.write('2'), writer.close()]) t.equal(await rejection(promise), reason)
  await aborted
  t.equal(statSync(target).size, 0)
})

ringTest('4. writes settle in order when the stream is aborted, the queued ones with its reason', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  await opened()
  const writes = ['1', '2', '3'].map(text => writer.write(text))
  const order = orderOf({ 1: writes[0], 2: writes[1], 3: writes[2] })
  const aborted = writer.abort(reason)
  t.same([await rejection(writes[1]), await rejection(writes[2])], [reason, reason])
  await aborted
  t.same(order, ['1', '2', '3'])
  t.ok(['', '1'].includes(readFileSync(target).toString()))
})

ringTest('5. abort twice is one abort; after it, and of a closed stream, it does nothing', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  const aborted = writer.abort(reason)
  t.equal(writer.abort('other'), aborted)
  await aborted
  t.equal(await writer.abort(), undefined)
  t.equal(await rejection(writer.closed), reason)
  const closed = createUringWritableStream(target).getWriter()
  await closed.close()
  t.equal(await closed.abort(reason), undefined)
  t.equal(await closed.closed, undefined)
})

ringTest('6. an abort right behind close, before the file is open, is the stronger', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  const close = writer.close()
  const aborted = writer.abort(reason)
  t.same([await rejection(close), await rejection(writer.closed)], [reason, reason])
  t.equal(await aborted, undefined)
})

ringTest('7. a released writer aborts, closes and writes nothing', async t => {
  const { target } = fileAndTarget(t, 1)
  const stream = createUringWritableStream(target)
  const writer = stream.getWriter()
  writer.releaseLock()
  for (const promise of [writer.abort(), writer.close(), writer.write('x')]) t.ok(await rejection(promise) instanceof TypeError)
  await stream.close()
  t.equal(statSync(target).size, 0)
})

ringTest('8. close fulfils with undefined, before closed, and leaves ready fulfilled', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  await opened()
  const close = writer.close()
  t.equal(writer.desiredSize, 1)
  t.equal(await writer.ready, undefined)
  const order = orderOf({ close, closed: writer.closed })
  t.same([await close, await writer.closed], [undefined, undefined])
  t.same(order, ['close', 'closed'])
  t.equal(writer.desiredSize, 0)
})

ringTest('9. ready is fulfilled by a close while a write is under way', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  await opened()
  const write = writer.write('x')
  const ready = watch(writer.ready)
  t.equal(ready.state, 'pending')
  const close = writer.close()
  t.equal(await writer.ready, undefined)
  await Promise.all([write, close])
  t.equal(readFileSync(target).toString(), 'x')
})

ringTest('10. releasing the lock changes nothing in a close; the next writer finds the stream closed', async t => {
  const { target } = fileAndTarget(t, 1)
  const stream = createUringWritableStream(target)
  const writer = stream.getWriter()
  const write = writer.write('x')
  const close = writer.close()
  const { closed } = writer
  writer.releaseLock()
  t.ok(await rejection(closed) instanceof TypeError)
  t.ok(await rejection(stream.close()) instanceof TypeError, 'one close is under way')
  t.same([await write, await close], [undefined, undefined])
  const next = stream.getWriter()
  t.same([await next.ready, await next.closed, next.desiredSize], [undefined, undefined, 0])
  t.equal(readFileSync(target).toString(), 'x')
})

ringTest('11. close of a closed or an errored stream is refused', async t => {
  const { target, directory } = fileAndTarget(t, 1)
  const closed = createUringWritableStream(target)
  await closed.close()
  t.ok(await rejection(closed.close()) instanceof TypeError)
  const errored = createUringWritableStream(join(directory, 'missing', 'file'))
  const writer = errored.getWriter()
  t.match(await rejection(writer.closed), { code: 'ENOENT' })
  t.ok(await rejection(writer.close()) instanceof TypeError)
  writer.releaseLock()
  t.ok(await rejection(errored.close()) instanceof TypeError)
})

ringTest('12. an error of the file is that of closed, ready, of what waits and of every later write, desiredSize is null', async t => {
  const writer = createUringWritableStream('/dev/full', { chunkSize: 1000, writeBehind: 1 }).getWriter()
  const writes = Array.from({ length: 5 }, () => rejection(writer.write(new Uint8Array(2000))))
  const close = rejection(writer.close())
  const error = await rejection(writer.closed)
  t.match(error, { code: 'ENOSPC', syscall: 'write' })
  for (const failure of (await Promise.all(writes)).slice(1)) t.equal(failure, error)
  t.same([await close, await rejection(writer.ready), await rejection(writer.write('x'))], [error, error, error])
  t.equal(writer.desiredSize, null)
})

ringTest('13. write fulfils with undefined, and a large queue is written in order before close resolves', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  t.equal(await writer.write('0'), undefined)
  let text = '0'
  const settled: number[] = []
  for (let i = 1; i < 2000; i++) {
    text += i
    void writer.write(`${i}`).then(() => settled.push(i))
  }
  await writer.close()
  t.equal(readFileSync(target).toString(), text)
  t.same(settled, Array.from({ length: 1999 }, (_, i) => i + 1))
})

ringTest('14. a writer made by hand writes', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer: Writer = new WritableStreamDefaultWriter(createUringWritableStream(target))
  await writer.write('by hand')
  await writer.close()
  t.equal(readFileSync(target).toString(), 'by hand')
})

ringTest('15. a producer that ignores ready fills its own queue, not the window', async t => {
  const { target } = fileAndTarget(t, 1)
  const content = patterned(100 * 65_536)
  await withRing(t, {}, async ring => {
    const writer = createUringWritableStream(target, { ring, chunkSize: 65_536, writeBehind: 2 }).getWriter()
    let most = 0
    for (let at = 0; at < content.length; at += 65_536) {
      void writer.write(content.subarray(at, at + 65_536)).then(() => { most = Math.max(most, ring.stats().buffersInUse) })
    }
    t.equal(writer.desiredSize, 1 - 100)
    await writer.close()
    t.ok(most <= 2 + 2, `at most ${most} buffers`)
  })
  t.ok(readFileSync(target).equals(content))
})

ringTest('16. a locked stream has no second writer; releasing twice does nothing; then there is another', async t => {
  const { target } = fileAndTarget(t, 1)
  const stream = createUringWritableStream(target)
  const writer = stream.getWriter()
  t.ok(thrown(() => stream.getWriter()) instanceof TypeError)
  writer.releaseLock()
  writer.releaseLock()
  const next = stream.getWriter()
  writer.releaseLock()
  t.equal(stream.locked, true, 'a released writer does not release another')
  await next.close()
})

ringTest('17. a released writer\'s ready and closed are rejected, its desiredSize throws', async t => {
  const { target } = fileAndTarget(t, 1)
  const stream = createUringWritableStream(target)
  const writer = stream.getWriter()
  const { closed } = writer
  writer.releaseLock()
  for (const promise of [closed, writer.closed, writer.ready]) t.ok(await rejection(promise) instanceof TypeError)
  t.ok(thrown(() => writer.desiredSize) instanceof TypeError)
  await stream.close()
})

ringTest('18. a writer of an errored stream has its error from the start', async t => {
  const stream = createUringWritableStream(join(t.testdir(), 'missing', 'file'))
  const first = stream.getWriter()
  const error = await rejection(first.closed)
  first.releaseLock()
  const writer = stream.getWriter()
  t.match(error, { code: 'ENOENT' })
  t.same([await rejection(writer.ready), await rejection(writer.closed), await rejection(writer.write('x'))], [error, error, error])
  t.equal(writer.desiredSize, null)
})

ringTest('19. writes wait until the file is open', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const writer = createUringWritableStream(fifo).getWriter() // opens when somebody reads
  const write = writer.write('x')
  const watched = watch(write)
  await turns(10)
  t.equal(watched.state, 'pending')
  const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  await write
  await writer.close()
  const bytes = Buffer.alloc(10)
  t.equal(bytes.subarray(0, readSync(fd, bytes)).toString(), 'x')
  closeSync(fd)
  t.match(usage(Ring.shared()), { filesInUse: 0 })
}, notUring)
