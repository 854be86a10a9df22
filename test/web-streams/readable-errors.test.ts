import { join } from 'node:path'
import { createUringReadableStream, open, Ring } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, usage } from '../helpers/ring-state.js'
import { turns, until } from '../helpers/stream-events.js'
import { fileAndTarget, rejection, watch } from '../helpers/web-streams.js'

const nothingOpen = { inFlight: 0, queued: 0, ready: 0, filesInUse: 0 }

ringTest('a file that is not there errors the stream in Node\'s shape', async t => {
  const path = join(t.testdir(), 'missing')
  const expected = { code: 'ENOENT', syscall: 'open', path, message: `ENOENT: no such file or directory, open '${path}'` }
  const stream = createUringReadableStream(path)
  const reader = stream.getReader()
  t.match(await rejection(reader.read()), expected)
  t.match(await rejection(reader.closed), expected)
  t.match(await rejection(reader.read()), expected, 'later reads as well')
  t.match(await rejection(reader.cancel()), expected, 'and cancel')
  reader.releaseLock()
  t.match(await rejection(stream.getReader().read()), expected, 'and another reader')
})

ringTest('an error of a read errors the stream after the file is closed', async t => {
  const directory = t.testdir()
  for (const mode of [undefined, 'byob'] as const) {
    const stream = createUringReadableStream(directory)
    const read = mode === 'byob'
      ? stream.getReader({ mode }).read(new Uint8Array(100_000))
      : stream.getReader().read()
    t.match(await rejection(read), { code: 'EISDIR', syscall: 'read' })
    t.match(usage(Ring.shared()), nothingOpen)
  }
})

ringTest('a bad flag errors the stream', async t => {
  const { file } = fileAndTarget(t, 10)
  const read = createUringReadableStream(file.path, { flags: 'q' }).getReader().read()
  t.match(await rejection(read), { code: 'ERR_INVALID_ARG_VALUE' })
})

ringTest('cancel resolves when the file is closed, at every stage of the stream', async t => {
  const { file } = fileAndTarget(t, 1 << 20)
  for (let stage = 0; stage < 12; stage++) {
    const stream = createUringReadableStream(file.path, { chunkSize: 4096 })
    if (stage % 3 === 0) await turns(stage)
    const reader = stream.getReader()
    for (let reads = 0; reads < stage; reads++) void reader.read()
    if (stage % 3 === 1) await turns(stage)
    await reader.cancel('enough')
    t.match(usage(Ring.shared()), nothingOpen)
    t.match(await reader.read(), { done: true })
    t.equal(await reader.closed, undefined)
  }
})

ringTest('cancel of a locked stream is refused and changes nothing', async t => {
  const { file } = fileAndTarget(t, 1000)
  const stream = createUringReadableStream(file.path)
  const reader = stream.getReader()
  t.ok(await rejection(stream.cancel()) instanceof TypeError)
  t.ok(file.content.equals((await reader.read()).value!))
  t.match(await reader.read(), { done: true })
})

ringTest('pending reads end when the stream is cancelled', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const holder = await open(fifo, 'r+')
  for (const mode of [undefined, 'byob'] as const) {
    const stream = createUringReadableStream(fifo)
    const reader = mode === 'byob' ? stream.getReader({ mode }) : stream.getReader()
    const reads = [1, 2].map(() => (reader as any).read(new Uint8Array(70_000)))
    await turns(3)
    await reader.cancel()
    for (const read of reads) t.match(await read, { done: true }, mode ?? 'default')
    t.match(usage(Ring.shared()), { inFlight: 0 })
  }
  await holder.close()
}, notUring)

ringTest('an aborted signal errors the stream with its reason and closes the file', async t => {
  const { file } = fileAndTarget(t, 1 << 20)
  for (const reason of [undefined, new Error('mine'), null, 'a string']) {
    const controller = new AbortController()
    const reader = createUringReadableStream(file.path, { chunkSize: 4096, signal: controller.signal }).getReader()
    await reader.read()
    controller.abort(reason)
    const { signal } = controller
    const [read, closed] = await Promise.all([rejection(reader.read()), rejection(reader.closed)])
    t.equal(read, signal.reason)
    t.equal(closed, signal.reason)
    await until(() => Ring.shared().stats().filesInUse === 0 && Ring.shared().stats().inFlight === 0)
    t.match(usage(Ring.shared()), nothingOpen)
  }
})

ringTest('a signal ends a read that waits', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const holder = await open(fifo, 'r+')
  for (const mode of [undefined, 'byob'] as const) {
    const controller = new AbortController()
    const stream = createUringReadableStream(fifo, { signal: controller.signal })
    const reader = mode === 'byob' ? stream.getReader({ mode }) : stream.getReader()
    const read = (reader as any).read(new Uint8Array(70_000))
    const watched = watch(read)
    await turns(3)
    t.equal(watched.state, 'pending')
    controller.abort()
    t.match(await rejection(read), { name: 'AbortError' })
    await turns(3)
  }
  await holder.close()
}, notUring)

ringTest('a signal that was aborted before opens no file', async t => {
  const { target } = fileAndTarget(t, 10)
  const reason = new Error('before')
  const stream = createUringReadableStream(target, { signal: AbortSignal.abort(reason) })
  t.equal(await rejection(stream.getReader().read()), reason, 'not ENOENT')
  const other = createUringReadableStream(target, { signal: AbortSignal.abort(null) })
  t.equal(await other.getReader().read().then(() => 'read', error => error), null)
})

ringTest('a signal leaves no listener behind', async t => {
  const { file } = fileAndTarget(t, 10)
  const { signal } = new AbortController()
  let listeners = 0
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args: any[]) => { listeners++; return (addEventListener as any).apply(signal, args) }
  signal.removeEventListener = (...args: any[]) => { listeners--; return (removeEventListener as any).apply(signal, args) }
  for (let i = 0; i < 20; i++) for await (const chunk of createUringReadableStream(file.path, { signal })) void chunk
  t.equal(listeners, 0)
})

ringTest('a released reader\'s pending read is refused and its bytes go to the next reader', async t => {
  const { file } = fileAndTarget(t, 100_000)
  const stream = createUringReadableStream(file.path, { chunkSize: 30_000 })
  const first = stream.getReader()
  const read = first.read()
  first.releaseLock()
  t.ok(await rejection(read) instanceof TypeError)
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  t.ok(Buffer.concat(chunks).equals(file.content))
})
