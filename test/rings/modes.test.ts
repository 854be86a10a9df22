import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createUringReadStream, createUringWriteStream, ops, Ring } from '../../lib/index.js'
import { runChild } from '../helpers/child.js'
import { digestOf, makeFifo, makeFile } from '../helpers/files.js'
import { readPieces, refused, ringModes, ringThreads, ringThreadsGone } from '../helpers/ring-modes.js'
import { ringTest } from '../helpers/ring-state.js'
import { seededFor } from '../helpers/seeded.js'
import { closing, turns } from '../helpers/stream-events.js'

const [EINTR, ETIME, EALREADY, ECANCELED] = [-4, -62, -114, -125]
const user = new URL('./fixtures/use-and-leave.js', import.meta.url)
const terminator = new URL('./fixtures/terminate-ring-workers.js', import.meta.url)

const skips = new Map<string, string | false>()
for (const [mode, options] of Object.entries(ringModes)) skips.set(mode, await refused(options))

for (const [mode, options] of Object.entries(ringModes)) {
  const skip = skips.get(mode)!

  ringTest(`${mode}: bytes read and written are those of the file, and nothing is left after close`, async t => {
    const source = makeFile(join(t.testdir(), 'source'), 1_000_003)
    const ring = new Ring(options)
    const fd = openSync(source.path, 'r')
    t.ok((await readPieces(ring, fd, source.content.length)).equals(source.content), 'by single reads')
    closeSync(fd)
    t.equal(await digestOf(createUringReadStream(source.path, { ring, chunkSize: 10_000 })), source.sha256, 'by a stream')
    const copy = join(t.testdirName, 'copy')
    const target = createUringWriteStream(copy, { ring, chunkSize: 10_000 })
    const closed = closing(target)
    createUringReadStream(source.path, { ring, buffers: 'leased' }).pipe(target)
    t.equal(await closed, undefined)
    t.ok(readFileSync(copy).equals(source.content), 'by a pipe')
    await ring.close()
    await ringThreadsGone()
    t.same(ringThreads(), [])
  }, skip)

  ringTest(`${mode}: thousands of operations at once, again and again, each completes once`, async t => {
    const ring = new Ring(options)
    for (let round = 0; round < 5; round++) {
      let completed = 0
      await new Promise<void>(resolve => {
        for (let i = 0; i < 3000; i++) ring.submit(ops.nop(), () => { if (++completed === 3000) resolve() })
      })
      await turns(3)
      t.equal(completed, 3000)
    }
    const { submitted, completed, inFlight } = ring.stats()
    t.same({ submitted, completed, inFlight }, { submitted: 15_000, completed: 15_000, inFlight: 0 })
    await ring.close()
  }, skip)

  ringTest(`${mode}: one operation that has to wait wakes the event loop when it is done`, async t => {
    const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
    const ring = new Ring(options)
    for (let i = 0; i < 20; i++) {
      const buffer = Buffer.alloc(10)
      const read = ring.submit(ops.read(fifo, buffer))
      setTimeout(() => writeSync(fifo, `word ${i}`), 5) // so that the loop sleeps before
      const { result } = await read
      t.equal(buffer.toString('latin1', 0, result), `word ${i}`)
    }
    closeSync(fifo)
    await ring.close()
  }, skip)

  ringTest(`${mode}: what waits for ever is cancelled`, async t => {
    const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
    const ring = new Ring(options)
    const controller = new AbortController()
    const read = ring.submit(ops.read(fifo, Buffer.alloc(10)), { signal: controller.signal })
    setImmediate(() => controller.abort())
    await t.rejects(read, { name: 'AbortError', code: 'ABORT_ERR' })
    closeSync(fifo)
    await ring.close()
  }, skip)

  ringTest(`${mode}: linked timeouts end what they limit, wherever that is on its way`, async t => {
    const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
    const ring = new Ring({ ...options, entries: 8, cqEntries: 64 })
    const random = seededFor(t)
    const others: number[][] = []
    for (let round = 0; round < 20; round++) {
      const limited = Array.from({ length: 20 }, () =>
        ring.batch([ops.read(fifo, Buffer.alloc(1)).async().link(), ops.linkTimeout(random.between(0, 3))]))
      for (const [read, timeout] of await Promise.all(limited)) {
        const known = [ECANCELED, EINTR].includes(read.result) && [ETIME, EALREADY].includes(timeout.result)
        if (!known) others.push([read.result, timeout.result])
      }
    }
    t.same(others, [])
    closeSync(fifo)
    await ring.close()
  }, skip)

  ringTest(`${mode}: a signal ends what a drain waits for, and what waits behind it`, async t => {
    const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
    const ring = new Ring({ ...options, entries: 4, cqEntries: 8 })
    const controller = new AbortController()
    const batch = ring.batch([ops.read(fifo, Buffer.alloc(1)), ops.nop().drain(), ops.nop()], { signal: controller.signal })
    await turns(5)
    const { inFlight, queued } = ring.stats()
    t.same({ inFlight, queued }, { inFlight: 1, queued: 2 })
    controller.abort()
    await t.rejects(batch, { name: 'AbortError', code: 'ABORT_ERR' })
    closeSync(fifo)
    await ring.close()
  }, skip)

  for (const how of ['closed', 'left open']) {
    t.test(`${mode}: a process ends by itself with its ring ${how}`, { skip }, async t => {
      const source = makeFile(join(t.testdir(), 'source'), 100_000)
      const ended = await runChild(t, user, [JSON.stringify(options), source.path, how])
      t.same(ended, { code: 0, signal: null, stdout: `${source.sha256}\n`, stderr: '' })
    })
  }

  t.test(`${mode}: process.exit() with operations in flight ends a process`, { skip }, async t => {
    makeFifo(join(t.testdir(), 'fifo'))
    const ended = await runChild(t, user, [JSON.stringify(options), join(t.testdirName, 'fifo'), 'exit'])
    t.same(ended, { code: 7, signal: null, stdout: '', stderr: '' })
  })

  t.test(`${mode}: worker.terminate() with operations in flight leaves neither descriptor nor thread`, { skip }, async t => {
    makeFifo(join(t.testdir(), 'fifo'))
    makeFile(join(t.testdirName, 'source'), 300_000)
    const ended = await runChild(t, terminator, [JSON.stringify(options), t.testdirName])
    t.same(ended, { code: 0, signal: null, stdout: 'nothing left\n', stderr: '' })
  })
}
