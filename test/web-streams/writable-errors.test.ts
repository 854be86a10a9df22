import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createUringWritableStream, open, Ring } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, usage } from '../helpers/ring-state.js'
import { turns, until } from '../helpers/stream-events.js'
import { fileAndTarget, rejection, watch } from '../helpers/web-streams.js'

const nothingOpen = { inFlight: 0, queued: 0, filesInUse: 0, buffersInUse: 0 }

ringTest('a file that cannot be opened errors the stream in Node\'s shape', async t => {
  const path = join(t.testdir(), 'missing', 'file')
  const expected = { code: 'ENOENT', syscall: 'open', path, message: `ENOENT: no such file or directory, open '${path}'` }
  const stream = createUringWritableStream(path)
  const writer = stream.getWriter()
  const writes = [writer.write('a'), writer.write('b'), writer.close()].map(rejection)
  for (const failure of await Promise.all(writes)) t.match(failure, expected)
  t.match(await rejection(writer.closed), expected)
  t.match(await rejection(writer.ready), expected)
  t.equal(await writer.abort(), undefined, 'there is nothing left to abort')
})

ringTest('a full disk errors the write or the close, and every write after', async t => {
  for (const awaits of [true, false]) {
    const writer = createUringWritableStream('/dev/full', { chunkSize: 1000 }).getWriter()
    const failures = new Set<string>()
    for (let i = 0; i < 20; i++) {
      const write = writer.write(new Uint8Array(1000)).catch(error => void failures.add(error.code))
      if (awaits) await write
    }
    await writer.close().catch(() => {})
    t.match(await rejection(writer.closed), { code: 'ENOSPC', syscall: 'write' })
    t.ok([...failures].every(code => code === 'ENOSPC'), [...failures].join())
    t.match(usage(Ring.shared()), nothingOpen)
  }
})

ringTest('an error that comes while nobody writes errors the stream', async t => {
  const writer = createUringWritableStream('/dev/full').getWriter()
  await writer.write('x') // copied, so that this resolves
  t.match(await rejection(writer.closed), { code: 'ENOSPC' })
  t.match(await rejection(writer.write('y')), { code: 'ENOSPC' })
  t.match(usage(Ring.shared()), nothingOpen, 'its file is closed')
})

ringTest('abort resolves when the file is closed, at every stage of the stream', async t => {
  const { target } = fileAndTarget(t, 1)
  for (let stage = 0; stage < 16; stage++) {
    const stream = createUringWritableStream(target, { chunkSize: 4096, writeBehind: 2 })
    if (stage % 4 === 0) await turns(stage)
    const writer = stream.getWriter()
    const reason = new Error(`stage ${stage}`)
    const writes: Promise<unknown>[] = []
    for (let i = 0; i < stage; i++) writes.push(writer.write(new Uint8Array(10_000)).then(() => 'written', error => error))
    if (stage % 4 === 1) await turns(stage)
    if (stage % 4 === 2) writes.push(rejection(writer.close()))
    t.equal(await writer.abort(reason), undefined)
    t.match(usage(Ring.shared()), nothingOpen)
    for (const ended of await Promise.all(writes)) t.ok(ended === 'written' || ended === reason || ended === undefined)
    t.ok([reason, undefined].includes(await rejection(writer.closed)))
  }
})

ringTest('abort without writes leaves an empty file and refuses what follows with its reason', async t => {
  const { target } = fileAndTarget(t, 1)
  const stream = createUringWritableStream(target)
  const reason = { any: 'thing' }
  await stream.abort(reason)
  const writer = stream.getWriter()
  t.equal(await rejection(writer.write('x')), reason)
  t.equal(await rejection(writer.closed), reason)
  t.equal(statSync(target).size, 0)
})

ringTest('abort and close of a locked stream are refused and change nothing', async t => {
  const { target } = fileAndTarget(t, 1)
  const stream = createUringWritableStream(target)
  const writer = stream.getWriter()
  t.ok(await rejection(stream.abort()) instanceof TypeError)
  t.ok(await rejection(stream.close()) instanceof TypeError)
  await writer.write('still')
  writer.releaseLock()
  t.equal(stream.locked, false)
  await stream.close()
  t.equal(readFileSync(target).toString(), 'still')
})

ringTest('close twice, and writes after close, are refused', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  const closed = writer.close()
  t.ok(await rejection(writer.close()) instanceof TypeError)
  t.ok(await rejection(writer.write('x')) instanceof TypeError)
  await closed
  t.equal(statSync(target).size, 0)
})

/** A FIFO that nobody reads, and a stream whose write waits for room in it. */
async function blockedWriter(t: Parameters<typeof fileAndTarget>[0], signal?: AbortSignal) {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const holder = await open(fifo, 'r+')
  const writer = createUringWritableStream(fifo, { chunkSize: 4096, writeBehind: 1, signal }).getWriter()
  const write = writer.write(new Uint8Array(1_000_000))
  await until(() => Ring.shared().stats().inFlight === 1)
  await turns(5)
  return { holder, writer, write }
}

ringTest('abort ends a write that waits', async t => {
  const { holder, writer, write } = await blockedWriter(t)
  const watched = watch(write)
  await turns(3)
  t.equal(watched.state, 'pending')
  const reason = new Error('enough')
  const failed = rejection(write)
  await writer.abort(reason)
  t.equal(await failed, reason)
  t.match(usage(Ring.shared()), { inFlight: 0, buffersInUse: 0 })
  await holder.close()
}, notUring)

ringTest('abort ends a close that waits', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const holder = await open(fifo, 'r+')
  const writer = createUringWritableStream(fifo, { chunkSize: 1 << 20 }).getWriter()
  await writer.write(new Uint8Array(500_000))
  const close = rejection(writer.close())
  await turns(5)
  const reason = new Error('enough')
  await writer.abort(reason).catch(() => {})
  t.equal(await close, reason)
  t.match(usage(Ring.shared()), { inFlight: 0, buffersInUse: 0 })
  await holder.close()
}, notUring)

ringTest('a signal errors the stream with its reason, ends what waits and closes the file', async t => {
  for (const reason of [undefined, new Error('mine'), null]) {
    const controller = new AbortController()
    const { holder, writer, write } = await blockedWriter(t, controller.signal)
    const later = rejection(writer.write('later'))
    controller.abort(reason)
    t.equal(await write.then(() => 'written', error => error), controller.signal.reason)
    t.equal(await later, controller.signal.reason)
    t.equal(await rejection(writer.closed), controller.signal.reason)
    await until(() => Ring.shared().stats().inFlight === 0 && Ring.shared().stats().buffersInUse === 0)
    await holder.close()
  }
}, notUring)

ringTest('a signal between writes errors the stream', async t => {
  const { target } = fileAndTarget(t, 1)
  const controller = new AbortController()
  const writer = createUringWritableStream(target, { signal: controller.signal }).getWriter()
  await writer.write('x')
  controller.abort()
  t.equal(await rejection(writer.closed), controller.signal.reason)
  t.equal(await rejection(writer.write('y')), controller.signal.reason)
  await until(() => Ring.shared().stats().filesInUse === 0)
})

ringTest('a signal that was aborted before opens no file', async t => {
  const { target } = fileAndTarget(t, 1)
  const reason = new Error('before')
  const writer = createUringWritableStream(target, { signal: AbortSignal.abort(reason) }).getWriter()
  t.equal(await rejection(writer.write('x')), reason)
  t.throws(() => statSync(target), { code: 'ENOENT' })
})

ringTest('closing a UringFile under its stream errors the stream', async t => {
  const { target } = fileAndTarget(t, 1)
  const file = await open(target, 'w')
  const writer = file.writableStream().getWriter()
  await writer.write('x')
  await file.close()
  t.match(await rejection(writer.write('y')), { code: 'ERR_INVALID_STATE' })
  t.match(await rejection(writer.closed), { code: 'ERR_INVALID_STATE' })
})
